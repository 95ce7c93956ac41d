"""A service is away for a while: the worker waits, says so, and goes on by itself."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stream_app.local import LocalKafka, LocalRedis
from tests.integration.bed import Bed
from tests.integration.worker import Cluster, Worker
from tests.services import choose
from tests.usecases import regression

SMALL = {"batch_max_records": 30, "poll_max_records": 200}


@pytest.fixture(autouse=True)
def local_only(request: pytest.FixtureRequest) -> None:
    """Skip where services are not ours to kill."""
    option = request.config.getoption("--services")
    if choose(option) != "local":
        pytest.skip(f"kills local services, and this run has --services={option}")


@pytest.fixture
def own_redis() -> Iterator[LocalRedis]:
    """A Redis that the test may kill."""
    with LocalRedis() as service:
        yield service


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[LocalKafka]:
    """A broker that the tests may kill."""
    with LocalKafka() as service:
        yield service


def check_waits_and_goes_on(
    bed: Bed, service: str, away: Callable[[], None], back: Callable[[], None]
) -> Worker:
    """In the middle of a backlog `service` goes away and comes back."""
    bed.cluster.produce(bed.meters(5_000))
    with bed.worker(**SMALL, redis_timeout_seconds=1.0) as worker:
        worker.ready().until(
            "there are predictions",
            lambda: bed.cluster.count(bed.usecase.predictions_topic) >= 100,
        )
        away()
        try:

            def says_why() -> bool:
                status, why = worker.get("/readyz")
                return status == 503 and f"waits for {service}" in why

            worker.until(f"it waits for {service}", says_why)
            status, why = worker.get("/livez")
            assert status == 200, why
            assert worker.metric("stream_app_waiting", service=service) == 1
        finally:
            back()
        worker.until("the backlog is drained", bed.drained)
        worker.until("it is ready again", lambda: worker.get("/readyz")[0] == 200)
        assert worker.metric("stream_app_waiting", service=service) == 0
        assert f"waiting for {service}" in worker.log or f"{service} does not answer" in worker.log
        assert worker.stop() == 0, worker.log
        return worker


@pytest.mark.parametrize("end", ["kill", "freeze"])
def test_redis_away(cluster: Cluster, own_redis: LocalRedis, tmp_path: Path, end: str) -> None:
    """No request is lost or dead-lettered, no event counted twice, and nothing published twice."""
    bed = Bed(regression, tmp_path, cluster, own_redis.url)
    away, back = (
        (own_redis.kill, own_redis.start) if end == "kill" else (own_redis.pause, own_redis.resume)
    )
    check_waits_and_goes_on(bed, "redis", away, back)
    bed.check_nothing_lost(once=True)
    bed.check_each_counted_once()


@pytest.mark.parametrize("end", ["kill", "freeze"])
def test_kafka_away(own_kafka: LocalKafka, redis_url: str, tmp_path: Path, end: str) -> None:
    """No request is lost or dead-lettered, and the offsets are committed in the end."""
    bed = Bed(regression, tmp_path, Cluster(own_kafka.bootstrap), redis_url)
    away, back = (
        (own_kafka.kill, own_kafka.start) if end == "kill" else (own_kafka.pause, own_kafka.resume)
    )
    check_waits_and_goes_on(bed, "kafka", away, back)
    bed.check_nothing_lost()
    bed.check_each_counted_once(bits=False)


def test_a_worker_started_while_both_are_away_begins_when_they_come(
    own_kafka: LocalKafka, own_redis: LocalRedis, tmp_path: Path
) -> None:
    """It starts, says what it waits for, and needs no restart."""
    bed = Bed(regression, tmp_path, Cluster(own_kafka.bootstrap), own_redis.url)
    bed.cluster.produce(bed.meters(300))
    own_kafka.kill()
    own_redis.kill()
    with bed.worker() as worker:
        worker.until("it says that it is not ready", lambda: worker.get("/readyz")[0] == 503)
        assert worker.get("/livez")[0] == 200
        own_kafka.start()
        worker.until("it waits for Redis", lambda: "redis" in worker.get("/readyz")[1])
        own_redis.start()
        worker.until("the backlog is drained", bed.drained)
    bed.check_nothing_lost(once=True)
    bed.check_each_counted_once()


def test_what_was_finished_while_kafka_was_away_is_committed_when_it_is_back(
    own_kafka: LocalKafka, redis_url: str, tmp_path: Path
) -> None:
    """A commit that failed is not forgotten, also where no further record comes."""
    bed = Bed(regression, tmp_path, Cluster(own_kafka.bootstrap), redis_url)
    bed.cluster.produce(bed.meters(300))
    with bed.worker(commit_interval_seconds=4.0, session_timeout_seconds=45) as worker:
        worker.until("all is finished", lambda: worker.metric("stream_app_records_total") == 300)
        assert not bed.drained(), "the commit came before the broker went"
        own_kafka.kill()
        due = time.monotonic() + 5.0
        worker.until("it is not ready", lambda: worker.get("/readyz")[0] == 503)
        worker.until("the commit is due", lambda: time.monotonic() > due)
        own_kafka.start()
        worker.until("the offsets are committed", bed.drained)
        assert worker.metric("stream_app_records_total") == 300
        assert worker.stop() == 0, worker.log
    bed.check_nothing_lost(once=True)
