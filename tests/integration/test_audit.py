"""The audit on a real broker: every fate that a record can meet, made by hand or by a worker."""

import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource
from redis import Redis

from benchmarks.audit import LEFT_OUT, fill, measure
from stream_app.audit import Fate, OffsetRange, PartitionId, Scope
from stream_app.audit.reading import read
from stream_app.cli import main
from stream_app.config.settings import Settings
from stream_app.errors import ConfigurationError
from stream_app.kafka.brokers import open_brokers
from tests.integration.hand import Hand, run
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Sent, eventually
from tests.services import Kafka

#: What must come of a few records, and does.
FEW = 12


@pytest.fixture
def hand(tickets: Testbed) -> Hand:
    """A group of the text classifier, whose every valid record asks for a prediction."""
    return Hand(tickets)


def at(hand: Hand, first: int, last: int | None = None, partition: int = 0) -> OffsetRange:
    """A range of offsets of the event topic."""
    return OffsetRange(hand.topic, partition, first, first if last is None else last)


def test_each_record_has_one_fate(hand: Hand) -> None:
    """Predicted, dead-lettered, waiting: the fates add up to the records, and nothing is missing."""
    hand.send(FEW)
    hand.send(1, value=b"no event")
    hand.send(2)
    hand.predict(range(FEW))
    hand.bury([FEW])
    hand.commit(FEW + 1, 0)
    hand.predict([FEW + 1])  # published, and not committed yet
    report = run(hand.testbed)
    assert report.count(Fate.PREDICTED) == FEW
    assert report.count(Fate.DEAD_LETTERED) == 1
    assert report.waiting == 2
    assert report.waiting_with_output == 1
    assert report.records == FEW + 3
    assert (report.missing, report.double, report.gone) == (0, 0, 0)
    assert report.exit_status == 0


def test_what_was_committed_and_never_predicted_is_missing(hand: Hand) -> None:
    """Exit status 1, and the very offsets are named: of events, and of what is no event."""
    hand.send(FEW)
    hand.send(1, value=b"no event")
    hand.predict(set(range(FEW)) - {3, 7, 8})
    hand.commit(FEW + 1, 0)
    report = run(hand.testbed)
    assert report.missing == 4
    assert report.ranges["missing"].kept == [at(hand, 3), at(hand, 7, 8), at(hand, FEW)]
    assert report.exit_status == 1


def test_only_the_range_asked_for_counts(hand: Hand) -> None:
    """By partition and offsets, and by the times of the records."""
    hand.send(FEW, 0)
    hand.send(FEW, 1)
    hand.predict(set(range(FEW)) - {3}, 0)
    hand.predict(set(range(FEW)) - {9}, 1)
    hand.commit(FEW, FEW)
    one = frozenset({PartitionId(hand.topic, 1)})
    assert run(hand.testbed, Scope(partitions=one)).ranges["missing"].kept == [at(hand, 9, None, 1)]
    assert run(hand.testbed, Scope(partitions=one, last=8)).missing == 0
    assert run(hand.testbed, Scope(partitions=one, first=9, last=9)).records == 1
    records = [out for out in hand.testbed.cluster.read(hand.topic) if out.partition == 0]
    report = run(hand.testbed, Scope(since=records[3].timestamp, until=records[5].timestamp))
    assert report.partitions[0].first == 3
    assert report.partitions[0].end == 5
    assert at(hand, 3) in report.ranges["missing"].kept
    with pytest.raises(ConfigurationError, match="no partition"):
        run(hand.testbed, Scope(partitions=frozenset({PartitionId(hand.topic, 99)})))


def test_doubles_fail_only_where_exactly_once_is_claimed(hand: Hand) -> None:
    """They are counted by record, and named; more than one outcome of any kind is one."""
    hand.send(FEW)
    hand.predict(range(FEW))
    hand.predict([4, 5])
    hand.predict([5])
    hand.bury([6])
    hand.commit(FEW, 0)
    report = run(hand.testbed)
    assert report.count(Fate.PREDICTED_AGAIN) == 2
    assert report.count(Fate.PREDICTED_AND_DEAD_LETTERED) == 1
    assert report.ranges["double"].kept == [at(hand, 4, 6)]
    assert report.exit_status == 0
    assert run(hand.testbed, doubles_fail=True).exit_status == 1


def test_a_replay_counts_under_its_first_origin(hand: Hand) -> None:
    """A dead letter that was replayed and predicted is predicted once, and the replay no record more."""
    hand.send(3)
    hand.predict([0, 2])
    hand.bury([1])
    origin = hand.replay(1)
    hand.predict([3], origin=origin)
    hand.commit(4, 0)
    report = run(hand.testbed, doubles_fail=True)
    assert report.count(Fate.PREDICTED) == 3
    assert report.count(Fate.REPLAYED) == 1
    assert report.count(Fate.DEAD_LETTERED) == 0
    assert (report.records, report.missing, report.double, report.exit_status) == (4, 0, 0, 0)


def test_a_replay_that_nothing_came_of_is_missing(hand: Hand) -> None:
    """It is a record as any other; one that fails again has its own dead letter."""
    hand.send(1)
    hand.bury([0])
    hand.replay(0)
    hand.replay(0)
    hand.bury([1])
    hand.commit(3, 0)
    report = run(hand.testbed)
    assert report.count(Fate.DEAD_LETTERED) == 1
    assert report.count(Fate.REPLAYED) == 1
    assert report.ranges["missing"].kept == [at(hand, 2)]


def test_outputs_of_other_origins_prove_nothing(hand: Hand) -> None:
    """Not of an earlier topic of the same name, not of another group, not without headers."""
    hand.send(3)
    hand.predict([0], topic_id="AAAAAAAAAAAAAAAAAAAAAA")
    hand.bury([1], group="somebody-else")
    hand.testbed.cluster.produce(
        [Sent(hand.testbed.usecase.dead_letters_topic, b"{}", None, headers=[])]
    )
    hand.commit(3, 0)
    report = run(hand.testbed)
    assert report.ranges["missing"].kept == [at(hand, 0, 2)]
    assert report.outputs.of_other_origins == 2
    assert report.outputs.unreadable == 1


def test_an_offset_committed_for_an_earlier_topic_does_not_count(hand: Hand) -> None:
    """All records of the topic wait, and a sentence says why."""
    hand.send(3)
    hand.commit(2, 0, metadata="stream-app/1 AAAAAAAAAAAAAAAAAAAAAA")
    report = run(hand.testbed)
    assert (report.waiting, report.missing) == (3, 0)
    assert any("earlier topic" in note for note in report.notes)
    hand.commit(2, 0, metadata=f"stream-app/1 {hand.ids[hand.topic]} starts=2")
    assert run(hand.testbed).missing == 2


def test_aborted_records_and_markers_are_no_records(hand: Hand) -> None:
    """Neither events that were never committed, nor predictions that were aborted."""
    events = [replace(sent, partition=0) for sent in hand.testbed.tickets(3)]
    hand.testbed.transaction(events, commit=False)  # offsets 0 to 2, marker 3
    hand.testbed.transaction(events, commit=True)  # offsets 4 to 6, marker 7
    hand.predict([4, 5])
    output = hand.prediction(6)
    hand.testbed.transaction([output], commit=False)
    hand.commit(8, 0)
    report = run(hand.testbed)
    assert report.records == 3
    assert report.count(Fate.PREDICTED) == 2
    assert report.ranges["missing"].kept == [at(hand, 6)]
    hand.testbed.transaction([output], commit=True)
    assert run(hand.testbed).exit_status == 0


def test_outputs_in_an_open_transaction_are_waited_for(hand: Hand) -> None:
    """A coordinator may show the offsets of a transaction before the outputs: they are not missing."""
    hand.send(1)
    hand.commit(1, 0)
    config = {
        "bootstrap.servers": hand.testbed.cluster.bootstrap,
        "transactional.id": uuid.uuid4().hex,
    }
    producer = Producer(config)
    producer.init_transactions(30)
    producer.begin_transaction()
    made = hand.prediction(0)
    headers: Any = made.headers
    producer.produce(made.topic, made.value, made.key, headers=headers)
    producer.flush(30)
    looked = threading.Event()

    def progress(what: str, _done: int, _total: int) -> None:
        if what == "outputs":
            looked.set()

    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(run, hand.testbed, progress=progress)
        assert looked.wait(30)
        assert not found.done()
        producer.commit_transaction(30)
        report = found.result(30)
    assert report.count(Fate.PREDICTED) == 1


def delete_before(testbed: Testbed, topic: str, offset: int, partition: int = 0) -> None:
    """Let a log begin at an offset, as retention would."""
    admin = AdminClient({"bootstrap.servers": testbed.cluster.bootstrap})
    for future in admin.delete_records([TopicPartition(topic, partition, offset)]).values():
        future.result()


def test_what_retention_removed_is_gone_and_not_missing(hand: Hand) -> None:
    """The exact offsets are named, and which of them the group had never committed."""
    hand.send(FEW)
    hand.predict(range(FEW))
    hand.commit(4, 0)
    delete_before(hand.testbed, hand.topic, 7)
    report = run(hand.testbed)
    assert report.gone == 7
    assert report.ranges["gone"].kept == [at(hand, 0, 6)]
    assert report.ranges["gone_unread"].kept == [at(hand, 4, 6)]
    assert (report.records, report.missing, report.exit_status) == (FEW - 7, 0, 0)
    assert report.outputs.out_of_range == 7


def test_outputs_that_retention_removed_are_not_called_missing(hand: Hand) -> None:
    """What may have been removed is unproven, exit status 2; what is there still counts."""
    hand.send(FEW)
    hand.predict(range(FEW))
    hand.commit(FEW, 0)
    outputs = hand.testbed.cluster.read(hand.testbed.usecase.predictions_topic)
    cut = {out.partition: out.offset for out in outputs}
    removed = 0
    for partition, last in cut.items():
        delete_before(hand.testbed, hand.testbed.usecase.predictions_topic, last, partition)
        removed += last
    assert removed > 0
    report = run(hand.testbed)
    assert report.unproven == removed
    assert report.count(Fate.PREDICTED) == FEW - removed
    assert (report.missing, report.exit_status) == (0, 2)


def test_what_retention_removes_while_it_is_read_is_told(hand: Hand) -> None:
    """A reader that finds the log begin later goes on there, and says what it missed."""
    hand.send(FEW)
    delete_before(hand.testbed, hand.topic, 7)
    place = PartitionId(hand.topic, 0)
    removed: list[tuple[PartitionId, int, int]] = []
    with closing(open_brokers(Settings(**hand.testbed.settings), hand.group)) as brokers:
        batches = read(
            brokers,
            {place: (2, FEW)},
            lambda _done, _total: None,
            lambda *each: removed.append(each),
        )
        offsets = [message.offset() for messages in batches for message in messages]
    assert offsets == list(range(7, FEW))
    assert removed == [(place, 2, 7)]


@pytest.mark.parametrize("which", ["predictions_topic", "dead_letters_topic"])
def test_a_compacted_topic_of_outputs_is_refused(hand: Hand, which: str) -> None:
    """With a sentence that names it, before anything is read."""
    name = getattr(hand.testbed.usecase, which)
    entry = ConfigEntry(
        "cleanup.policy", "compact,delete", incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": hand.testbed.cluster.bootstrap})
    for future in admin.incremental_alter_configs([resource]).values():
        future.result()

    def policy() -> str:
        (future,) = admin.describe_configs(
            [ConfigResource(ConfigResource.Type.TOPIC, name)]
        ).values()
        return str(future.result()["cleanup.policy"].value)

    eventually("the broker knows its policy", lambda: "compact" in policy())
    with pytest.raises(ConfigurationError, match=rf"{name} is compacted"):
        run(hand.testbed)


def command(testbed: Testbed, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    """Run `stream-app audit` in this process."""
    monkeypatch.setattr(testbed.module, "usecase", testbed.usecase)
    environment = {f"STREAM_APP_{name.upper()}": str(v) for name, v in testbed.settings.items()}
    return CliRunner().invoke(main, ["audit", testbed.spec, *arguments], env=environment)


def test_the_command_names_what_is_missing(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words and as one JSON object; wrong usage is status 2."""
    hand.send(FEW)
    hand.predict(set(range(FEW)) - {3})
    hand.commit(FEW, 0)
    result = command(hand.testbed, monkeypatch)
    assert result.exit_code == 1, result.output
    assert f"{hand.topic}[0] 3\n" in result.stdout
    assert result.stdout.endswith("Failed: 1 missing.\n")
    result = command(hand.testbed, monkeypatch, "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["missing"] == 1
    assert found["ranges"]["missing"]["kept"] == [
        {"topic": hand.topic, "partition": 0, "first": 3, "last": 3}
    ]
    only = ("--partition", f"{hand.topic}[0]", "--offsets", "4-")
    assert command(hand.testbed, monkeypatch, *only).exit_code == 0
    assert command(hand.testbed, monkeypatch, "--recompute").exit_code == 2


def test_brokers_that_do_not_answer_are_told_from_missing_records(
    tickets: Testbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 3 and one line."""
    monkeypatch.setattr("stream_app.kafka.brokers._COMMAND_SECONDS", 1.0)
    tickets.settings["bootstrap_servers"] = "127.0.0.1:1"
    result = command(tickets, monkeypatch)
    assert result.exit_code == 3
    assert "Kafka does not answer" in result.stderr


def test_a_worker_is_audited_with_its_state(meters: Testbed, cluster: Cluster) -> None:
    """Nothing is missing or double, what only updates is state only, and the state is the log's."""
    cluster.produce(meters.meters(900))
    with meters.worker() as worker:
        worker.until("the backlog is drained", meters.drained)
        report = run(meters, recompute_state=True, doubles_fail=True)  # while it goes on
        assert report.exit_status == 0, report.as_json()
        assert worker.is_running
    assert report.count(Fate.PREDICTED) == 300
    assert report.count(Fate.STATE_ONLY) == 600
    assert report.waiting == 0
    assert report.recomputed is not None
    assert report.recomputed.states == report.recomputed.equal == len(meters.expected_account())


def test_an_account_holds_while_a_worker_drains_a_backlog(meters: Testbed) -> None:
    """Killed in the middle, too: what is not committed waits, and no state is called different."""
    meters.cluster.produce(meters.meters(6_000))
    waited = 0
    with meters.worker(batch_max_records=30, poll_max_records=200) as worker:
        worker.until(
            "some is predicted",
            lambda: meters.cluster.count(meters.usecase.predictions_topic) > 200,
        )
        for _ in range(2):
            report = run(meters, recompute_state=True)
            assert report.exit_status == 0, report.as_json()
            waited += report.waiting
        worker.kill()
        report = run(meters, recompute_state=True)
        assert report.exit_status == 0, report.as_json()
        assert waited + report.waiting > 0, "the backlog is too small for this test"
        worker.start()
        worker.until("the backlog is drained", meters.drained)
    report = run(meters, recompute_state=True)
    assert report.records == 6_000
    assert (report.missing, report.waiting, report.states_differ) == (0, 0, 0)


def test_a_state_that_was_lost_or_changed_is_told(meters: Testbed, redis: Redis) -> None:
    """One state overwritten, one deleted: both are named; without marks nothing is state only."""
    meters.cluster.produce(meters.meters(300))
    with meters.worker() as worker:
        worker.until("the backlog is drained", meters.drained)
    keys = sorted(key for key in redis.scan_iter() if b":meter_load:" in key)
    packed = redis.get(keys[0])
    assert packed is not None
    redis.set(keys[0], packed[:8] + bytes([packed[8] ^ 1]) + packed[9:])
    redis.delete(keys[1])
    report = run(meters, recompute_state=True)
    assert report.recomputed is not None
    assert report.recomputed.different == 2
    told = {each.entity: each.what for each in report.recomputed.differences}
    entities = [key.decode().rpartition(":")[2] for key in keys[:2]]
    assert told.keys() == set(entities)
    assert "counts" in told[entities[0]]
    assert "not in the store" in told[entities[1]]
    assert report.exit_status == 1
    redis.flushall()
    report = run(meters)
    assert report.count(Fate.WITHOUT_STATE) == 200
    assert report.count(Fate.PREDICTED) == 100
    assert report.above_marks == 300
    assert report.exit_status == 1


def test_the_memory_of_an_audit_does_not_grow_with_objects_a_record(kafka: Kafka) -> None:
    """50,000 records in 180 MiB; a million are measured by `python -m benchmarks.audit`."""
    fill(kafka.bootstrap, 50_000)
    found = measure(kafka.bootstrap)
    assert found.report["records"] == 50_000
    assert found.report["missing"] == LEFT_OUT
    assert found.report["wrong_outputs"] == []
    assert found.status == 1
    assert found.peak_bytes < 180 * 2**20
