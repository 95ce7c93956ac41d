"""What lets a stopped partition go on, tried by records that say nothing, kill, or never end."""

import json
import time
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr

from stream_app.records.places import PartitionId
from stream_app.records.record_id import RecordId
from stream_app.wire.replays import Replay, Replays
from tests.integration.test_flood import (
    BAD,
    MODES,
    SOON,
    Operator,
    bad,
    committed,
    others_are_drained,
    requests,
    stopped,
)
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Sent, Worker
from tests.usecases import odd_meters


@pytest.fixture
def odd(cluster: Cluster, redis_url: str, tmp_path: Path) -> Testbed:
    """The regression with state, some of whose meters are odd."""
    return Testbed(odd_meters, tmp_path, cluster, redis_url)


def of_meter(testbed: Testbed, name: str, count: int) -> list[Sent]:
    """Requests of partition 1 that do what this meter does."""
    made = requests(testbed, count, partition=1)
    for number, sent in enumerate(made):
        event = json.loads(sent.value or b"") | {"meter": name, "event_id": f"{name} {number}"}
        sent.value = json.dumps(event).encode()
    return made


def flood(testbed: Testbed, worker: Worker, run: list[Sent]) -> int:
    """Let partition 1 be stopped by a bad run; return how many letters that costs."""
    testbed.cluster.produce(testbed.meters(100))
    worker.until("the beginning is taken", testbed.drained)
    testbed.cluster.produce(run)
    worker.until("the partition is stopped", lambda: stopped(worker))
    return len(testbed.dead_letters())


def test_records_that_are_none_of_ours_do_not_let_it_go_on(odd: Testbed) -> None:
    """A topic of several kinds of events: what is skipped says nothing of who sends ours."""
    with odd.worker(**SOON) as worker:
        letters = flood(odd, worker, bad(odd, BAD))
        odd.cluster.produce(of_meter(odd, "other", 30))
        before = worker.log.count("is still stopped")
        worker.until("it is tried", lambda: worker.log.count("is still stopped") > before + 2)
        assert stopped(worker)
        assert len(odd.dead_letters()) == letters
        odd.cluster.produce(requests(odd, 10, partition=1))
        odd.cluster.produce(of_meter(odd, "other", 30))
        worker.until("ours pass", odd.drained)
        assert "its newest records pass" in worker.log
        assert len(odd.dead_letters()) == BAD


def test_a_newest_record_that_never_ends_ends_the_process_until_it_is_tried_elsewhere(
    odd: Testbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would else keep the thread that hears operators, and a processor, for ever."""
    operator = Operator(odd, monkeypatch)
    settings = {"work_deadline_seconds": 4, "crash_isolation_starts": 1, **SOON}
    with odd.worker(**settings) as worker:
        flood(odd, worker, bad(odd, BAD))
        odd.cluster.produce(of_meter(odd, "hang", 1))
        ends = 0
        while worker.wait(20) == 1:
            ends += 1
            worker.start()
        assert 1 <= ends <= 3
        assert "stage decode has been at work on" in worker.log
        worker.until("it is found stopped", lambda: stopped(worker))
        worker.until("the record is tried in a child", lambda: "still stopped" in worker.tail(20))
        odd.cluster.produce(requests(odd, 5, partition=0))
        worker.until("the neighbours go on", lambda: others_are_drained(odd))
        operator("--all", "--yes")
        worker.until("the run is dead-lettered, and the record too", odd.drained)
    assert len(odd.dead_letters()) == BAD + 1


def test_a_newest_record_that_kills_the_process_does_so_a_few_times_only(odd: Testbed) -> None:
    """Then it is tried in a child; the partition stays stopped and its neighbours go on."""
    with odd.worker(crash_isolation_starts=2, **SOON) as worker:
        letters = flood(odd, worker, bad(odd, BAD))
        worker.until("it is committed", lambda: committed(odd, 1))
        odd.cluster.produce([*requests(odd, 12, partition=1), *of_meter(odd, "abort", 1)])
        for _ in range(3):
            assert worker.wait(60) is not None
            worker.start()
        odd.cluster.produce(requests(odd, 5, partition=0))
        worker.until("the neighbours go on", lambda: others_are_drained(odd))
        assert stopped(worker)
        assert len(odd.dead_letters()) == letters


def remove_before(testbed: Testbed, offset: int) -> None:
    """What retention does to partition 1."""
    admin = AdminClient({"bootstrap.servers": testbed.cluster.bootstrap})
    place = TopicPartition(testbed.topics[1], 1, offset)
    (answer,) = admin.delete_records([place]).values()
    answer.result()


@MODES
@pytest.mark.parametrize("how", ["mended", "resumed", "all gone"])
def test_what_retention_removes_meanwhile_is_lost_and_told_and_the_rest_goes_on(
    odd: Testbed, monkeypatch: pytest.MonkeyPatch, mode: dict[str, str], how: str
) -> None:
    """The record at which it is stopped is gone, and it is tried from where the log begins now."""
    operator = Operator(odd, monkeypatch)
    place = PartitionId(odd.topics[1], 1)
    settings = {"alignment_wait_seconds": 1, **SOON, **mode}
    with odd.worker(max_value_bytes=1_024, **settings) as worker:
        flood(odd, worker, requests(odd, BAD, partition=1, padding=2_000))
        end = odd.cluster.ends(odd.topics[1])[place]
        worker.until("it is told", lambda: "stopped at offset" in operator())
        remove_before(odd, end if how == "all gone" else end - 30)
        if how == "resumed":
            operator("--all", "--yes")
            worker.until("all is taken", odd.drained)
            worker.until("it is stopped no more", lambda: stopped(worker) == [])
            assert "retention" in worker.log
        else:
            worker.kill()
    if how != "resumed":
        with odd.worker(**settings) as worker:
            worker.until("all is taken", odd.drained)
            worker.until("it is stopped no more", lambda: stopped(worker) == [])
            odd.cluster.produce(requests(odd, 3, partition=1))
            worker.until("as is what comes", odd.drained)
            assert "retention" in worker.log


def test_where_everything_is_stopped_the_process_lives_and_says_so(odd: Testbed) -> None:
    """Readiness is 503, liveness 200; no deadline of its work ends it, and it stops when it is told."""
    with odd.worker(work_deadline_seconds=2, **SOON) as worker:
        odd.cluster.produce(odd.meters(100))
        worker.until("the beginning is taken", odd.drained)
        places = list(odd.cluster.ends(*odd.topics))
        now = time.time()
        odd.cluster.produce(
            Sent(topic, b"{}", b"k", number, now) for topic, number in places for _ in range(60)
        )
        worker.until("all are stopped", lambda: worker.get("/readyz")[0] == 503)
        assert len(stopped(worker)) == len(places)
        before = worker.log.count("is still stopped")
        worker.until("they are tried", lambda: worker.log.count("is still stopped") > before + 20)
        assert worker.get("/livez")[0] == 200
        assert worker.stop() == 0


def test_refused_replays_do_not_stop_the_partition_they_are_sent_to(odd: Testbed) -> None:
    """An operator sent them, with letters that nobody mended: that says nothing of the producer."""
    secret = "correct-horse-battery"
    replays = Replays(odd.usecase.name, SecretStr(secret))
    run = bad(odd, BAD)
    for number, sent in enumerate(run):
        origin = Replay(RecordId("a" * 22, 1, number), applied=False)
        sent.headers = list(replays.headers(origin, sent.key, sent.value))
    odd.cluster.produce([*odd.meters(100), *run])
    with odd.worker(replay_secret=secret, **SOON) as worker:
        worker.until("all is taken", odd.drained)
        assert "is stopped at offset" not in worker.log
    assert len(odd.dead_letters()) == BAD
