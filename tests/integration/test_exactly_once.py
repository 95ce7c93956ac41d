"""Exactly-once publishing: who reads committed records sees every prediction once, whatever breaks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stream_app.local import LocalKafka, LocalRedis
from tests.integration.test_rebalance import done, flowing
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Out, by_source
from tests.usecases import regression

EXACTLY_ONCE = {"delivery": "exactly_once", "transaction_timeout_seconds": 4}
SMALL = {"batch_max_records": 30, "poll_max_records": 200}


@pytest.fixture
def own_kafka(local_only: None) -> Iterator[LocalKafka]:
    """A broker that the test may kill."""
    with LocalKafka() as service:
        yield service


def test_kill_9_in_a_backlog_shows_each_prediction_once(meters: Testbed) -> None:
    """Killed twice in a transaction: what it had published is aborted, and published once."""
    meters.cluster.produce(meters.meters(9_000))
    with meters.worker(**EXACTLY_ONCE, **SMALL) as worker:
        for enough in (150, 1_000):
            worker.until(
                f"there are {enough} predictions",
                lambda enough=enough: (
                    meters.cluster.count(meters.usecase.predictions_topic) >= enough
                ),
            )
            worker.kill()
            assert not meters.drained(), "the backlog is too small for this test"
            worker.start()
        worker.until("the backlog is drained", meters.drained)
    assert len(meters.check_nothing_lost(once=True)) >= 3_000
    meters.check_each_counted_once()


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_workers_that_join_and_leave_show_each_prediction_once(
    meters: Testbed, protocol: str
) -> None:
    """Partitions are given away with their transaction committed, or taken without it."""
    options = {**EXACTLY_ONCE, "group_protocol": protocol}
    first, second, third = (meters.worker(**options) for _ in range(3))
    with first, second:
        with flowing(meters):
            first.until("the first works", lambda: done(first) > 100)
            second.until("the second works", lambda: done(second) > 100)
            with third:
                third.until("the third works", lambda: done(third) > 100)
                third.kill()
            assert second.stop() == 0, second.log
            before = done(first)
            first.until("the first works alone", lambda: done(first) > before + 100)
        first.until("all is done", meters.drained)
    meters.check_nothing_lost(once=True)
    meters.check_each_counted_once(bits=False)


def test_a_zombie_that_wakes_and_rejoins_publishes_nothing_twice(meters: Testbed) -> None:
    """Frozen in the middle of its batches, it wakes when others have done its work."""
    meters.cluster.produce(meters.meters(6_000))
    with meters.worker(**EXACTLY_ONCE, **SMALL) as zombie:
        zombie.until(
            "there are predictions",
            lambda: meters.cluster.count(meters.usecase.predictions_topic) >= 150,
        )
        zombie.pause()
        assert not meters.drained(), "the backlog is too small for this test"
        with meters.worker(**EXACTLY_ONCE, **SMALL) as successor:
            successor.until("the successor has done all", meters.drained)
            zombie.resume()
            before = done(zombie)
            meters.cluster.produce(meters.meters(900, seed=8))

            def takes_part() -> bool:
                # Its partitions come back when the group says so; there must be records then.
                meters.cluster.produce(meters.meters(30, seed=9))
                return done(zombie) > before

            zombie.until("the zombie takes part again", takes_part)
            successor.until("the rest is done", meters.drained)
    meters.check_nothing_lost(once=True)
    meters.check_each_counted_once(bits=False)


def test_redis_away_for_longer_than_a_transaction_may_last(
    cluster: Cluster, own_redis: LocalRedis, tmp_path: Path
) -> None:
    """Its transaction is aborted for the wait; afterwards the same bytes are published."""
    testbed = Testbed(regression, tmp_path, cluster, own_redis.url, EXACTLY_ONCE)
    slow = {"redis_timeout_seconds": 0.5, "commit_interval_seconds": 1.0}
    with testbed.worker(**SMALL, **slow, transaction_timeout_seconds=2) as worker:
        again: list[list[Out]] = []
        for attempt in range(6):
            # Whether the kill hits a transaction with records in it is up to chance.
            cluster.produce(testbed.meters(2_000, seed=attempt))
            before = cluster.count(testbed.usecase.predictions_topic)
            worker.until(
                "more is published",
                lambda n=before: cluster.count(testbed.usecase.predictions_topic) > n + 100,
            )
            own_redis.kill()
            worker.until("it waits for Redis", lambda: "redis" in worker.get("/readyz")[1])
            # Longer than the brokers would let a transaction stay open.
            with pytest.raises(AssertionError):
                worker.until("it ends", lambda: not worker.is_running, seconds=3.0)
            own_redis.start()
            worker.until("the backlog is drained", testbed.drained)
            everything = cluster.read(testbed.usecase.predictions_topic, uncommitted=True)
            again = [copies for copies in by_source(everything).values() if len(copies) > 1]
            if again:
                break
        assert "replaced" not in worker.log, worker.tail()
    testbed.check_nothing_lost(once=True)
    testbed.check_each_counted_once()
    assert again, "nothing was published twice: this test hit nothing"
    for copies in again:
        assert len({copy.value for copy in copies}) == 1


def test_a_broker_killed_in_a_transaction(
    own_kafka: LocalKafka, redis_url: str, tmp_path: Path
) -> None:
    """The broker comes back after kill -9, and the worker goes on by itself."""
    cluster = Cluster(own_kafka.bootstrap)
    testbed = Testbed(regression, tmp_path, cluster, redis_url, EXACTLY_ONCE)
    cluster.produce(testbed.meters(5_000))
    with testbed.worker(**SMALL) as worker:
        worker.until(
            "something is published",
            lambda: cluster.count(testbed.usecase.predictions_topic) > 200,
        )
        own_kafka.kill()
        worker.until("it waits for Kafka", lambda: "kafka" in worker.get("/readyz")[1])
        own_kafka.start()
        worker.until("the backlog is drained", testbed.drained)
    testbed.check_nothing_lost(once=True)
    testbed.check_each_counted_once()
    cluster.close()
