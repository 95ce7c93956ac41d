"""An orderly stop finishes what is under way and commits it, so that nothing is done twice."""

import signal
import time
from pathlib import Path

import pytest

from stream_app.local import LocalRedis
from tests.integration.conftest import NO_REDIS
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Sent, Worker, eventually
from tests.usecases import hostile, regression


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_in_a_backlog_commits_all_that_was_published(
    meters: Testbed, number: signal.Signals
) -> None:
    """The exit status is 0, and the next worker goes on where this one ended: no doubles."""
    meters.cluster.produce(meters.meters(9_000))
    with meters.worker(batch_max_records=30, poll_max_records=200) as worker:
        worker.until(
            "there are predictions",
            lambda: meters.cluster.count(meters.usecase.predictions_topic) >= 300,
        )
        assert worker.stop(number) == 0, worker.log
        assert not meters.drained(), "the backlog is too small for this test"
        published = meters.cluster.count(meters.usecase.predictions_topic)
        committed = meters.cluster.committed(meters.usecase.name, *meters.topics)
        below = sum(
            out.offset < committed[out.topic, out.partition]
            for out in meters.cluster.read(meters.topics[1])
        )
        assert published == below
        worker.start()
        worker.until("the backlog is drained", meters.drained)
        assert worker.stop(number) == 0, worker.log
        assert "ERROR" not in worker.log
        assert "Traceback" not in worker.log
    meters.check_nothing_lost(once=True)
    meters.check_each_counted_once()


def members(testbed: Testbed) -> int:
    """Members of the use case's group, as the broker knows them."""
    return len(testbed.cluster.brokers.members(testbed.usecase.name))


def stuck_at_redis(testbed: Testbed, redis: LocalRedis, worker: Worker) -> None:
    """In the middle of a backlog, work waits for a Redis that does not answer."""
    testbed.cluster.produce(testbed.meters(5_000))
    worker.ready().until(
        "there are predictions",
        lambda: testbed.cluster.count(testbed.usecase.predictions_topic) >= 100,
    )
    redis.pause()
    worker.until("it waits for Redis", lambda: "redis" in worker.get("/readyz")[1])


def check_the_next_one_goes_on(testbed: Testbed, redis: LocalRedis, worker: Worker) -> None:
    """What was published and not written is published again, and nothing is lost."""
    redis.resume()
    worker.start()
    worker.until("the backlog is drained", testbed.drained)
    testbed.check_nothing_lost()
    testbed.check_each_counted_once()


SLOW = {"batch_max_records": 30, "poll_max_records": 200, "session_timeout_seconds": 12}


def test_a_drain_that_hangs_is_bounded_and_the_group_is_left(
    cluster: Cluster, own_redis: LocalRedis, tmp_path: Path
) -> None:
    """Redis is frozen: past the drain time the worker gives up, and leaves its group all the same."""
    testbed = Testbed(regression, tmp_path, cluster, own_redis.url)
    with testbed.worker(**SLOW, drain_seconds=3.0, redis_timeout_seconds=1.0) as worker:
        stuck_at_redis(testbed, own_redis, worker)
        assert members(testbed) == 1
        began = time.monotonic()
        assert worker.stop(seconds=20.0) == 0, worker.log
        assert 3.0 <= time.monotonic() - began < 13.0
        assert members(testbed) == 0
        assert "not all work was finished in time" in worker.log
        assert "Traceback" not in worker.log
        check_the_next_one_goes_on(testbed, own_redis, worker)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_stops_at_once(
    cluster: Cluster, own_redis: LocalRedis, tmp_path: Path, second: signal.Signals
) -> None:
    """However long the drain would take; and nothing is committed that is not done."""
    testbed = Testbed(regression, tmp_path, cluster, own_redis.url)
    with testbed.worker(**SLOW, drain_seconds=300.0, redis_timeout_seconds=1.0) as worker:
        stuck_at_redis(testbed, own_redis, worker)
        finished = worker.metric("stream_app_records_total")
        assert worker.stop(seconds=0.0) is None
        worker.until("it is stopping", lambda: "finishing what is in flight" in worker.log)
        began = time.monotonic()
        assert worker.stop(second, seconds=20.0) == 128 + second, worker.log
        assert time.monotonic() - began < 5.0
        committed = cluster.committed(testbed.usecase.name, *testbed.topics)
        assert sum(committed.values()) <= finished
        assert f"{second.name} while stopping" in worker.log
        # It did not leave: its successor waits out the session.
        check_the_next_one_goes_on(testbed, own_redis, worker)


def test_a_stuck_thread_does_not_keep_a_stopped_worker(cluster: Cluster, tmp_path: Path) -> None:
    """A scoring call that never returns: the group is left, and the status says that it was bad."""
    testbed = Testbed(hostile, tmp_path, cluster, NO_REDIS)
    with testbed.worker(drain_seconds=1.0) as worker:
        worker.ready()
        cluster.produce([Sent(testbed.topics[0], hostile.ticket("score hang"), partition=1)])
        stages = "stream_app_stage_seconds_count"
        worker.until("it is scored", lambda: worker.metric(stages, stage="enrich") > 0)
        assert worker.stop(seconds=30.0) == 1, worker.log
        eventually("the group is left", lambda: members(testbed) == 0, seconds=5.0)
        assert f"still at work (score of {testbed.topics[0]}[1] 0-0)" in worker.log
