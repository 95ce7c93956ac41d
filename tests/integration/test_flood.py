"""A partition whose records are refused one after the other is stopped, loses nothing, and goes on."""

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from stream_app.cli import main
from stream_app.records.places import PartitionId
from tests.integration.test_positions import delete_records
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Sent, Worker, by_source
from tests.usecases import mistaken

IN_A_ROW = 20
BAD = 300
#: What a test waits for comes soon.
SOON = {"flood_retry_seconds": 0.3, "flood_poison_in_a_row": IN_A_ROW}
#: With each way to publish, one of the ways in which partitions are shared out.
MODES = pytest.mark.parametrize(
    "mode",
    [
        {"delivery": "at_least_once", "assignment_strategy": "range"},
        {"delivery": "exactly_once", "assignment_strategy": "sticky"},
        {"delivery": "at_least_once", "group_protocol": "consumer"},
    ],
    ids=["at_least_once", "exactly_once", "consumer_protocol"],
)


def bad(meters: Testbed, count: int, *, size: int = 0, at: float | None = None) -> list[Sent]:
    """Requests of partition 1 that lack everything, or are good and too large."""
    begin = time.time() if at is None else at
    topic = meters.topics[1]
    return [Sent(topic, b"{}" + b" " * size, b"k", 1, begin + n * 0.001) for n in range(count)]


def requests(meters: Testbed, count: int, *, partition: int, padding: int = 0) -> list[Sent]:
    """Good requests, with so many spaces behind each."""
    made = [sent for sent in meters.meters(5 * count) if sent.topic == meters.topics[1]][:count]
    assert len(made) == count
    for sent in made:
        sent.partition, sent.timestamp = partition, time.time()
        sent.value = (sent.value or b"") + b" " * padding
    return made


def stopped(worker: Worker) -> list[str]:
    """The partitions that are stopped, by /readyz."""
    status, body = worker.get("/readyz")
    return json.loads(body).get("stopped_partitions", []) if status else []


def committed(meters: Testbed, number: int) -> int:
    """The group's offset of a partition of the requests."""
    found = meters.cluster.committed(meters.usecase.name, meters.topics[1])
    return found[PartitionId(meters.topics[1], number)]


def stands(meters: Testbed, worker: Worker) -> int:
    """The offset at which partition 1 is stopped, once that and all before it is committed.

    Letters of records before it may lie in a transaction that is still open when the stop is told, and a
    worker that is killed before the stop is committed has not passed it on.
    """
    worker.until("the partition is stopped", lambda: stopped(worker))
    (place,) = stopped(worker)
    head = int(place.rpartition(" at ")[2])
    partition = PartitionId(meters.topics[1], 1)
    name, mark = meters.usecase.name, f" flood=stopped:{head}:"
    worker.until("that is committed", lambda: mark in meters.cluster.beside(name, partition))
    worker.until("all before it is committed", lambda: committed(meters, 1) == head)
    return head


def others_are_drained(meters: Testbed) -> bool:
    """Whether nothing waits but in partition 1 of the requests."""
    ends = meters.cluster.ends(*meters.topics)
    found = meters.cluster.committed(meters.usecase.name, *meters.topics)
    return all(found[each] == end for each, end in ends.items() if each != (meters.topics[1], 1))


def check_one_end(meters: Testbed) -> None:
    """Each request is predicted, or is a dead letter, and none is both or neither."""
    letters = {(o.letter.topic, o.letter.partition, o.letter.offset) for o in meters.dead_letters()}
    predicted = set(by_source(meters.predictions()))
    logged = {
        (out.topic, out.partition, out.offset) for out in meters.cluster.read(meters.topics[1])
    }
    assert not letters & predicted
    assert letters | predicted == logged


@MODES
def test_a_flood_stops_its_partition_and_nothing_else(
    meters: Testbed, mode: dict[str, str]
) -> None:
    """A wrong schema in one partition: it stands before the bad run, and its neighbours go on."""
    topic = meters.topics[1]
    meters.cluster.produce(meters.meters(200))
    with meters.worker(**mode, **SOON) as worker:
        worker.until("the beginning is taken", meters.drained)
        first = committed(meters, 1)
        meters.cluster.produce(bad(meters, BAD))
        worker.until("it is told", lambda: worker.metric("stream_app_flood_stopped", topic=topic))
        head = stands(meters, worker)
        letters = len(meters.dead_letters())
        assert head == first + letters
        assert letters < IN_A_ROW

        more = meters.meters(200, seed=9)
        for sent in more:
            sent.timestamp = time.time()
            sent.partition = 0
        meters.cluster.produce(more)
        before = time.monotonic()
        worker.until("the neighbours go on", lambda: others_are_drained(meters))
        assert time.monotonic() - before < 4.0  # nobody waits for it (alignment_wait_seconds)

        assert stopped(worker) == [f"{topic}[1] at {head}"]
        assert worker.get("/readyz")[0] == 200
        assert committed(meters, 1) == head
        lag = {"topic": topic, "partition": "1"}
        worker.until(
            "its lag is told",
            lambda: worker.metric("stream_app_consumer_lag_records", **lag) == BAD - letters,
        )
        older = worker.metric("stream_app_consumer_lag_seconds", **lag)
        worker.until(
            "its lag grows",
            lambda: worker.metric("stream_app_consumer_lag_seconds", **lag) > older + 0.5,
        )
        assert len(meters.dead_letters()) == letters
        assert f"{topic}[1] is stopped at offset {head}" in worker.log


@MODES
def test_a_worker_that_is_killed_while_it_stands_goes_on_where_the_consumer_is_mended(
    meters: Testbed, mode: dict[str, str]
) -> None:
    """Killed over and over it dead-letters not one record more; mended, it takes the whole run."""
    topic = meters.topics[1]
    meters.cluster.produce(meters.meters(100))
    settings = {"alignment_wait_seconds": 1, **mode, **SOON}
    worker = meters.worker(max_value_bytes=1_024, **settings)
    with worker:
        worker.until("the beginning is taken", meters.drained)
        first = committed(meters, 1)
        meters.cluster.produce(requests(meters, BAD, partition=1, padding=2_000))
        stands(meters, worker)
        letters = len(meters.dead_letters())
        assert letters < IN_A_ROW
        assert committed(meters, 1) == first + letters
        for _ in range(3):
            worker.kill()
            worker.start()
            worker.until("it is found stopped", lambda: stopped(worker))
            meters.cluster.produce(requests(meters, 5, partition=0))
            worker.until("the neighbours go on", lambda: others_are_drained(meters))
        assert len(meters.dead_letters()) == letters
        worker.kill()
    with meters.worker(**settings) as worker:
        worker.until("all is taken", meters.drained)
        assert stopped(worker) == []
        assert worker.metric("stream_app_flood_stopped", topic=topic) == 0
        assert "its first record passes now" in worker.log
        check_one_end(meters)
        assert len(meters.dead_letters()) == letters
    meters.check_each_counted_once(bits=False)


@MODES
def test_the_bad_run_becomes_dead_letters_where_the_producer_is_mended(
    meters: Testbed, mode: dict[str, str]
) -> None:
    """Once the newest records pass: at the limited rate, and what comes behind it is as usual."""
    rate = 100
    meters.cluster.produce(meters.meters(100))
    with meters.worker(flood_letters_per_second=rate, **mode, **SOON) as worker:
        worker.until("the beginning is taken", meters.drained)
        meters.cluster.produce(bad(meters, BAD))
        stands(meters, worker)
        letters = len(meters.dead_letters())
        meters.cluster.produce(requests(meters, 9, partition=1))
        worker.until("its newest are tried", lambda: "is still stopped" in worker.log)
        assert stopped(worker)
        began = time.monotonic()
        meters.cluster.produce(requests(meters, 3, partition=1))
        worker.until("all is taken", meters.drained)
        assert time.monotonic() - began > (BAD - letters) / rate - 1.5
        assert "its newest records pass" in worker.log
        assert stopped(worker) == []
        assert len(meters.dead_letters()) == BAD
        check_one_end(meters)

        meters.cluster.produce(bad(meters, BAD))
        worker.until("the next flood stops it as well", lambda: stopped(worker))
    meters.check_each_counted_once(bits=False)


class Operator:
    """The commands that a person gives for a testbed, in this process; `stream-app resume` if none is named."""

    def __init__(self, testbed: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(testbed.module, "usecase", testbed.usecase)
        self._testbed = testbed

    def __call__(self, *arguments: str, status: int = 0, command: str = "resume") -> str:
        """Run it, and see that it ends with this status."""
        given = {"usecase": self._testbed.spec, **self._testbed.settings}
        environment = {f"STREAM_APP_{name.upper()}": str(value) for name, value in given.items()}
        done = CliRunner().invoke(
            main, [command, *arguments], env=environment, catch_exceptions=False
        )
        assert done.exit_code == status, done.output
        return done.stdout


@pytest.fixture
def operator(meters: Testbed, monkeypatch: pytest.MonkeyPatch) -> Operator:
    """Somebody who may write the topic of resolutions."""
    return Operator(meters, monkeypatch)


@MODES
def test_a_worker_that_is_killed_while_it_drains_goes_on_draining(
    meters: Testbed, operator: Operator, mode: dict[str, str]
) -> None:
    """The run is not stopped again, and an operator is told of it; exactly once no letter comes twice."""
    draining = f"{meters.topics[1]}:1"
    meters.cluster.produce(meters.meters(100))
    with meters.worker(flood_letters_per_second=60, **mode, **SOON) as worker:
        worker.until("the beginning is taken", meters.drained)
        meters.cluster.produce(bad(meters, BAD))
        worker.until("the partition is stopped", lambda: stopped(worker))
        meters.cluster.produce(requests(meters, 12, partition=1))
        for more in (40, 80):
            letters = len(meters.dead_letters()) + more
            worker.until("some are written", lambda n=letters: len(meters.dead_letters()) > n)
            worker.kill()
            said = operator("--partition", draining, "--yes", status=1)
            assert "its bad run is dead-lettered up to offset" in said
            worker.start()
        worker.until("all is taken", meters.drained)
        assert worker.log.count("is stopped at offset") == 1
    check_one_end(meters)
    if mode["delivery"] == "exactly_once":
        assert len(meters.dead_letters()) == BAD
    meters.check_each_counted_once(bits=False)


@MODES
def test_a_bug_in_the_last_step_stops_its_partition_and_spoils_no_state(
    cluster: Cluster, redis_url: str, tmp_path: Path, mode: dict[str, str]
) -> None:
    """What was computed of the records that are not taken is forgotten; mended, each counts once."""
    testbed = Testbed(mistaken, tmp_path, cluster, redis_url)
    testbed.cluster.produce(testbed.meters(100))
    run = requests(testbed, 100, partition=1)
    for number, sent in enumerate(run):
        event = json.loads(sent.value or b"")
        sent.value = json.dumps(event | {"event_id": f"answer-raise {number}"}).encode()
    settings = {"flood_retry_seconds": 0.3, "flood_bug_in_a_row": 10, **mode}
    with testbed.worker(**settings) as worker:
        worker.until("the beginning is taken", testbed.drained)
        testbed.cluster.produce(run)
        stands(testbed, worker)
        letters = len(testbed.dead_letters())
        assert letters < 10
        testbed.cluster.produce(requests(testbed, 50, partition=0))
        worker.until("the neighbours go on", lambda: others_are_drained(testbed))
        worker.until("it is tried in vain", lambda: "is still stopped" in worker.log)
        conflicts = worker.metric("stream_app_state_conflicts_total")
        assert conflicts == 0  # a trial disturbs no state
        assert len(testbed.dead_letters()) == letters
        assert worker.stop() == 0
    with testbed.worker(**settings).environment(TEST_MENDED="1") as worker:
        worker.until("all is taken", testbed.drained)
    check_one_end(testbed)
    assert len(testbed.dead_letters()) == letters
    testbed.check_each_counted_once(bits=False)


def check_told_from_outside(meters: Testbed, operator: Operator, head: int) -> None:
    """`lag` and `doctor` name the stopped partition, and no other."""
    topic = meters.topics[1]
    lags = json.loads(operator("--json", "--looks", "1", command="lag"))["partitions"]
    (found,) = [each for each in lags if each["verdict"] == "flood"]
    assert (found["topic"], found["partition"], found["flood"]["offset"]) == (topic, 1, head)
    table = operator("--looks", "1", command="lag")
    assert f"{topic}[1] was stopped by the flood breaker: see stream-app resume" in table
    findings = [json.loads(line) for line in operator("--json", command="doctor").splitlines()]
    (told,) = [each for each in findings if each["about"] == "flood"]
    assert told["level"] == "warning"
    assert f"{topic}[1] is stopped at offset {head} since " in told["text"]


@MODES
def test_an_operator_lets_it_go_on(
    meters: Testbed, operator: Operator, mode: dict[str, str]
) -> None:
    """The bad run becomes dead letters though nothing was mended; the next one stops it again."""
    topic = meters.topics[1]
    meters.cluster.produce(meters.meters(100))
    with meters.worker(**mode, **SOON | {"flood_retry_seconds": 60}) as worker:
        worker.until("the beginning is taken", meters.drained)
        assert operator() == "No partition is stopped.\n"
        first = committed(meters, 1)
        meters.transaction(bad(meters, BAD))
        head, end = stands(meters, worker), first + BAD + 1  # the log ends in a marker
        assert head == first + len(meters.dead_letters())
        told = worker.until("it is told", lambda: json.loads(operator("--json"))["partitions"])
        (found,) = told
        assert (found["topic"], found["partition"], found["state"]) == (topic, 1, "stopped")
        assert (found["offset"], found["end"]) == (head, end)
        assert f"{topic}[1]  stopped at offset {head} since " in operator()
        check_told_from_outside(meters, operator, head)

        assert "Nothing was written" in operator("--all")
        assert "is not stopped" in operator("--partition", f"{topic}:0", "--yes", status=1)
        operator("--yes", status=2)
        said = operator(
            "--partition", f"{topic}:1", "--by", "anna\udcff", "--note", "\x1b[0m", "--yes"
        )
        assert said == (
            f"{topic}[1] goes on at offset {head}; what is refused before {end} becomes dead letters\n"
        )
        worker.until("all is taken", meters.drained)
        assert "an operator said so" in worker.log
        assert len(meters.dead_letters()) == BAD
        check_one_end(meters)
        worker.until("it is as any other", lambda: operator() == "No partition is stopped.\n")

        meters.cluster.produce(bad(meters, BAD))
        stands(meters, worker)  # the next flood stops it as well
        assert "  stopped at offset " in operator()
        worker.kill()
        said = operator("--all", "--yes", "--wait", "0.5", status=1)
        assert "no worker has gone on yet" in said
        worker.start()
        worker.until("one that starts later hears it, too", meters.drained)
    assert len(meters.dead_letters()) == 2 * BAD
    check_one_end(meters)


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_it_moves_with_the_partition(meters: Testbed, protocol: str) -> None:
    """Another worker that is given the partition finds it stopped, and takes nothing of it."""
    settings = {"group_protocol": protocol, **SOON}
    meters.cluster.produce(meters.meters(100))
    with meters.worker(**settings) as worker:
        worker.until("the beginning is taken", meters.drained)
        meters.cluster.produce(bad(meters, BAD))
        stands(meters, worker)
        letters = len(meters.dead_letters())
        (place,) = stopped(worker)
        with meters.worker(**settings) as other:
            # One that is given the stopped partition and no other takes nothing, and is not ready.
            other.until(
                "it is a member",
                lambda: other.get("/readyz")[0] == 200 or stopped(other) == [place],
            )
            holders = [worker, other]
            worker.until(
                "one of the two holds it", lambda: sorted(map(stopped, holders)) == [[], [place]]
            )
            holder = other if stopped(other) else worker
            holder.stop()
            rest = worker if holder is other else other
            rest.until("the other one holds it now", lambda: stopped(rest) == [place])
            assert len(meters.dead_letters()) == letters
            meters.cluster.produce(requests(meters, 12, partition=1))
            rest.until("it goes on", meters.drained)
    assert len(meters.dead_letters()) == BAD
    check_one_end(meters)


@MODES
@pytest.mark.parametrize("is_killed", [False, True], ids=["runs on", "killed"])
def test_retention_goes_on_while_it_is_stopped(
    meters: Testbed, mode: dict[str, str], *, is_killed: bool
) -> None:
    """What is deleted of the bad run is told, and the rest stays stopped, also for a worker that starts."""
    topic, gone = meters.topics[1], 50
    meters.cluster.produce(meters.meters(100))
    with meters.worker(**mode, **SOON) as worker:
        worker.until("the beginning is taken", meters.drained)
        meters.cluster.produce(bad(meters, BAD))
        head = stands(meters, worker)
        letters = len(meters.dead_letters())
        delete_records(meters, topic, 1, head + gone)
        if is_killed:
            worker.kill()
            worker.start()
            worker.until("it is found stopped", lambda: stopped(worker))
            assert stopped(worker) == [f"{topic}[1] at {head + gone}"]
            assert "the worker that held it before stopped it" in worker.log
        meters.cluster.produce(requests(meters, 9, partition=1))
        worker.until("its newest are tried", lambda: "is still stopped" in worker.log)
        assert len(meters.dead_letters()) == letters
        meters.cluster.produce(requests(meters, 3, partition=1))
        worker.until("all is taken", meters.drained)
        assert f"offsets {head} to {head + gone - 1} ({gone}) were deleted" in worker.log
        assert stopped(worker) == []
        assert len(meters.dead_letters()) == BAD - gone
