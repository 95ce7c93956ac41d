"""The store loses what it acknowledged: the state is built again from the log, by itself."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis

from stream_app.local import LocalRedis
from tests.integration.test_rebalance import done, flowing
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster
from tests.usecases import regression

REBUILT = "the state is rebuilt"
COMPLETE = "the state holds what was read"


@pytest.fixture
def harmed(cluster: Cluster, own_redis: LocalRedis, tmp_path: Path) -> Testbed:
    """The regression with state, on that Redis."""
    return Testbed(regression, tmp_path, cluster, own_redis.url)


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_flushall_under_load_ends_in_the_state_of_the_log(
    harmed: Testbed, own_redis: LocalRedis, delivery: str
) -> None:
    """Noticed by the next read or write; each event is counted once all the same."""
    with harmed.worker(delivery=delivery) as worker, Redis.from_url(own_redis.url) as redis:
        with flowing(harmed):
            worker.until("it works", lambda: done(worker) > 500)
            for times in (1, 2):
                redis.flushall()
                worker.until("it is rebuilt", lambda n=times: worker.log.count(REBUILT) >= n)
            before = done(worker)
            worker.until("it goes on", lambda: done(worker) > before + 200)
        worker.until("all is done", harmed.drained)
        assert worker.metric("stream_app_rebuilt_records_total") > 500
        assert worker.metric("stream_app_rebuilding_partitions") == 0
    harmed.check_nothing_lost(once=delivery == "exactly_once")
    harmed.check_each_counted_once(bits=False)


def test_an_empty_redis_at_the_start_is_filled_before_records_are_scored(
    harmed: Testbed, own_redis: LocalRedis
) -> None:
    """A worker without a fallback waits: its predictions know the whole log."""
    harmed.cluster.produce(harmed.meters(3_000))
    with harmed.worker() as worker:
        worker.until("the first half is done", harmed.drained)
        assert worker.stop() == 0
    with Redis.from_url(own_redis.url) as redis:
        redis.flushall()
    harmed.cluster.produce(harmed.meters(900, seed=8))
    with harmed.worker() as worker:
        worker.until("the second half is done", harmed.drained)
        assert REBUILT in worker.log
        assert worker.metric("stream_app_rebuilt_records_total") == 3_000
    predictions = harmed.check_nothing_lost(once=True)
    assert len(predictions) == 1_300
    assert all(out.json["degraded"] is None for out in predictions)
    harmed.check_each_counted_once(bits=False)


def test_writes_that_a_store_acknowledged_and_lost_are_applied_again(
    harmed: Testbed, own_redis: LocalRedis
) -> None:
    """An append-only file cut short: the marks say from where on the log is needed."""
    harmed.cluster.produce(harmed.meters(3_000))
    with harmed.worker(batch_max_records=100) as worker:
        worker.until("the first half is done", harmed.drained)
        assert worker.stop() == 0
    (folder,) = own_redis.directory.glob("appendonlydir")
    (log,) = folder.glob("*.incr.aof")
    whole = log.read_bytes()
    own_redis.kill()
    log.write_bytes(whole[: len(whole) // 2])
    own_redis.start()
    harmed.cluster.produce(harmed.meters(900, seed=8))
    with harmed.worker() as worker:
        worker.until("the second half is done", harmed.drained)
        again = worker.metric("stream_app_rebuilt_records_total")
        assert 0 < again < 3_000
    harmed.check_nothing_lost(once=True)
    harmed.check_each_counted_once(bits=False)


def test_a_group_that_starts_at_the_end_knows_what_came_before(meters: Testbed) -> None:
    """Nothing of the past is published, and all of it is in the state."""
    meters.cluster.produce(meters.meters(3_000))
    with meters.worker(starts_at="end") as worker:
        worker.ready().until("the past is applied", lambda: REBUILT in worker.log)
        assert meters.predictions() == []
        meters.cluster.produce(meters.meters(900, seed=8))
        worker.until("the rest is done", meters.drained)
    assert len(meters.predictions()) == 300
    meters.check_each_counted_once(bits=False)


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_markers_of_transactions_are_no_lost_state(meters: Testbed, delivery: str) -> None:
    """Behind the last record the log holds markers, which no state ever holds."""
    first, second = meters.meters(300), meters.meters(300, seed=8)
    with meters.worker(delivery=delivery) as worker:
        meters.transaction(replace(sent, partition=0) for sent in first)
        meters.transaction([replace(sent, partition=0) for sent in second], commit=False)
        worker.until("all is done, the markers passed", meters.drained)
        assert worker.stop() == 0
    for _ in range(2):
        with meters.worker(delivery=delivery) as worker:
            worker.ready()
            meters.transaction(replace(sent, partition=0) for sent in second)
            worker.until("the rest is done", meters.drained)
            assert worker.stop() == 0
            assert "is rebuilt" not in worker.log
    meters.check_each_counted_once(bits=False)


def test_offsets_set_back_by_hand_are_refused(meters: Testbed) -> None:
    """Old records would be scored on a state that knows what came after them."""
    meters.cluster.produce(meters.meters(900))
    with meters.worker() as worker:
        worker.until("all is done", meters.drained)
        assert worker.stop() == 0
    meters.cluster.set_committed(
        meters.usecase.name, dict.fromkeys(meters.cluster.ends(*meters.topics), 0)
    )
    with meters.worker() as worker:
        assert worker.wait() == 1
        assert "scored on their own future" in worker.log
        assert "Traceback" not in worker.log
    assert len(meters.predictions()) == 300


def test_the_state_is_rebuilt_beside_the_one_that_serves(
    harmed: Testbed, own_redis: LocalRedis
) -> None:
    """By `stream-app state rebuild`, under load: workers turn to it, and nothing else is left."""
    with harmed.worker() as worker, Redis.from_url(own_redis.url) as redis:
        with flowing(harmed):
            worker.until("it works", lambda: done(worker) > 500)
            command = harmed.worker(command=("-m", "stream_app", "state", "rebuild"))
            with command:
                assert command.wait() == 0, command.log
                assert "generation 1 of the state serves" in command.log
            worker.until(
                "it turned to the new state",
                lambda: REBUILT in worker.log or COMPLETE in worker.log,
            )
            before = done(worker)
            worker.until("it goes on", lambda: done(worker) > before + 200)
        worker.until("all is done", harmed.drained)
        keys = [key.decode() for key in redis.scan_iter("*")]
    harmed.check_nothing_lost(once=True)
    harmed.check_each_counted_once(bits=False)
    old = f"{{{harmed.usecase.name}:0}}:0:"
    assert [key for key in keys if key.startswith(old)] == []


def test_a_view_that_is_new_is_filled_from_the_log(harmed: Testbed, own_redis: LocalRedis) -> None:
    """Redis knows neither states nor marks of it, and everything of the others."""
    harmed.cluster.produce(harmed.meters(3_000))
    with harmed.worker() as worker:
        worker.until("the first half is done", harmed.drained)
        assert worker.stop() == 0
    view = harmed.usecase.features.views[-1].name
    with Redis.from_url(own_redis.url) as redis:
        states = list(redis.scan_iter(f"*:{view}:*"))
        assert states
        redis.delete(*states)
        for marks in redis.scan_iter("*:marks"):
            fields = [field for field in redis.hkeys(marks) if f":{view}:".encode() in field]
            assert fields
            redis.hdel(marks, *fields)
    harmed.cluster.produce(harmed.meters(900, seed=8))
    with harmed.worker() as worker:
        worker.until("the second half is done", harmed.drained)
        assert REBUILT in worker.log
    harmed.check_nothing_lost(once=True)
    harmed.check_each_counted_once(bits=False)


def test_a_state_may_be_rebuilt_from_a_time_on(harmed: Testbed) -> None:
    """It holds what the log holds since then, and the worker goes on from there."""
    begin = time.time() - 3_000.0
    harmed.cluster.produce(harmed.meters(2_000, start=begin))
    with harmed.worker() as worker:
        worker.until("all is done", harmed.drained)
        assert worker.stop() == 0
    before = sum(count for count, *_ in harmed.account().values())
    since = datetime.fromtimestamp(begin + 750.0, UTC).isoformat()
    with harmed.worker(
        command=("-m", "stream_app", "state", "rebuild", "--since", since)
    ) as command:
        assert command.wait() == 0, command.log
    after = sum(count for count, *_ in harmed.account().values())
    assert 0 < after < before
    harmed.cluster.produce(harmed.meters(300, seed=8))
    with harmed.worker() as worker:
        worker.until("the rest is done", harmed.drained)
    assert sum(count for count, *_ in harmed.account().values()) > after
    harmed.check_nothing_lost(once=True)
