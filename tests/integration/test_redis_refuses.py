"""Redis refuses for good, or is not what the settings say: one sentence, and no record is blamed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from stream_app.local import LocalRedis
from tests.integration.conftest import NO_REDIS
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Worker
from tests.usecases import regression

pytestmark = pytest.mark.usefixtures("local_only")

SMALL = {"batch_max_records": 30, "poll_max_records": 200}


@pytest.fixture
def harmed(cluster: Cluster, own_redis: LocalRedis, tmp_path: Path) -> Testbed:
    """The regression with state, on that Redis."""
    return Testbed(regression, tmp_path, cluster, own_redis.url)


def check_ended_with_a_sentence(worker: Worker, sentence: str, *, begun: int = 0) -> None:
    """Status 2, and the sentence in the log as it was written since `begun`; no traceback."""
    assert worker.wait() == 2, worker.tail()
    log = worker.log[begun:]
    assert sentence in log, log
    assert "Traceback" not in log, log
    assert "got nowhere" not in log, log


@contextmanager
def without(redis: Redis, *commands: str) -> Iterator[None]:
    """The default user may not run these."""
    redis.execute_command("ACL", "SETUSER", "default", *(f"-{command}" for command in commands))
    try:
        yield
    finally:
        redis.execute_command("ACL", "SETUSER", "default", "+@all")


def test_a_right_that_is_taken_away_ends_the_worker_and_no_record_is_blamed(
    harmed: Testbed, own_redis: LocalRedis
) -> None:
    """Twelve good records were dead letters for it; with the right back, all is as if nothing was."""
    harmed.cluster.produce(harmed.meters(3_000))
    with harmed.worker(**SMALL, crash_isolation_starts=1) as worker:
        with Redis.from_url(own_redis.url) as redis:
            worker.ready().until(
                "there are predictions",
                lambda: harmed.cluster.count(harmed.usecase.predictions_topic) >= 100,
            )
            with without(redis, "mget"):
                check_ended_with_a_sentence(worker, "permissions to run the 'mget' command; grant")
                for _ in range(2):
                    begun = len(worker.log)
                    worker.start()
                    check_ended_with_a_sentence(worker, "Refused: MGET", begun=begun)
            with without(redis, "hset", "evalsha"):
                begun = len(worker.log)
                worker.start()
                check_ended_with_a_sentence(worker, "Refused: EVALSHA", begun=begun)
        worker.start().until("the backlog is drained", harmed.drained)
        assert "first tried in a child" not in worker.log
        assert worker.stop() == 0, worker.tail()
    harmed.check_nothing_lost()
    harmed.check_each_counted_once()


def test_a_worker_that_cannot_reach_its_redis_takes_no_partition(
    harmed: Testbed, own_redis: LocalRedis
) -> None:
    """Half of the records would wait with it; one whose database does not exist ends at once."""
    harmed.cluster.produce(harmed.meters(300))
    with harmed.worker() as good, harmed.worker(redis_url=NO_REDIS) as lost:
        good.ready()
        lost.until("it waits for redis", lambda: "redis" in lost.get("/readyz")[1])
        database = own_redis.url.replace("/0", "/77")
        with harmed.worker(redis_url=database) as wrong, harmed.worker(state_buckets=3) as spread:
            check_ended_with_a_sentence(wrong, "the database in redis_url does not exist there")
            good.until("states are there", harmed.drained)
            check_ended_with_a_sentence(spread, "set state_buckets to 1")
        assert good.metric("stream_app_rebalances_total") == 1, "nobody else joined the group"
        assert lost.stop() == 0, lost.tail()
        assert "assigned" not in lost.log
    harmed.check_nothing_lost(once=True)


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_a_redis_that_comes_back_empty_is_waited_for_no_longer_than_it_is_away(
    harmed: Testbed, own_redis: LocalRedis, delivery: str
) -> None:
    """The call that was waited for finds that the state is lost: the wait is over with that, too."""
    harmed.cluster.produce(harmed.meters(3_000))
    with harmed.worker(**SMALL, delivery=delivery, redis_timeout_seconds=1.0) as worker:
        worker.ready().until(
            "there are predictions",
            lambda: harmed.cluster.count(harmed.usecase.predictions_topic) >= 100,
        )
        for times in (1, 2):
            own_redis.kill()
            for file in own_redis.directory.glob("appendonlydir/*"):
                file.unlink()
            worker.until("it waits for redis", lambda: "redis" in worker.get("/readyz")[1])
            own_redis.start()
            worker.until(
                "the state is rebuilt",
                lambda n=times: worker.log.count("the state is rebuilt: ") >= n,
            )
            worker.until("it is ready again", lambda: worker.get("/readyz")[0] == 200)
            assert worker.metric("stream_app_waiting", service="redis") == 0
            harmed.cluster.produce(harmed.meters(300, seed=9))
        worker.until("the backlog is drained", harmed.drained)
        worker.until("it is ready", lambda: worker.get("/readyz")[0] == 200)
        assert worker.metric("stream_app_waiting") == 0
        assert worker.log.count("waiting for redis") == worker.log.count("redis is back")
    harmed.check_nothing_lost()
    harmed.check_each_counted_once(bits=False)
