"""Stage publish, exactly once: what is in a transaction, when it ends, and what follows a failure.

The producer here answers as librdkafka's does and keeps what it committed; against a real one the
stage is tested in tests/integration/test_exactly_once.py.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream_app.commit import CommitStage
from stream_app.errors import FatalError
from stream_app.patience import Patience
from stream_app.records import Batch, Item, Outgoing, Partition
from stream_app.transactions import TransactionStage
from tests.unit.stream_app.builders import item, partition

P, Q = partition(0), partition(1)


def failure(
    code: int, *, fatal: bool = False, retriable: bool = False, abort: bool = False
) -> KafkaException:
    """What a transactional call raises."""
    return KafkaException(KafkaError(code, "told", fatal, retriable, abort))


class Log:
    """What the brokers keep: committed values and offsets; calls in order."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.offsets: dict[tuple[str, int], int] = {}
        self.calls: list[str] = []
        self.raises: dict[str, list[BaseException]] = {}
        self.before: dict[str, Callable[[], None]] = {}
        self.lost_answers = 0


class Producer:
    """A transactional producer."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.values: list[bytes] = []
        self.offsets: dict[tuple[str, int], int] = {}

    def _called(self, name: str) -> None:
        self.log.calls.append(name)
        self.log.before.pop(name, lambda: None)()
        if self.log.raises.get(name):
            raise self.log.raises[name].pop(0)

    def init_transactions(self, _timeout: float) -> None:
        """As librdkafka does."""
        self._called("init")

    def begin_transaction(self) -> None:
        """Open one."""
        self._called("begin")

    def produce(self, _topic: str, value: bytes, _key: object, **_: object) -> None:
        """Put a record into it."""
        self.values.append(value)

    def flush(self, _timeout: float) -> int:
        """Nothing is left."""
        return 0

    def send_offsets_to_transaction(
        self, places: Sequence[Any], _metadata: object, _timeout: float
    ) -> None:
        """Put offsets into it."""
        self._called("offsets")
        self.offsets |= {(place.topic, place.partition): place.offset for place in places}

    def commit_transaction(self, _timeout: float) -> None:
        """Keep what is in it; the answer may be lost."""
        if self.log.lost_answers:
            self.log.lost_answers -= 1
            self._end()
        self._called("commit")
        self._end()

    def _end(self) -> None:
        self.log.values += self.values
        self.log.offsets |= self.offsets
        self.values, self.offsets = [], {}

    def abort_transaction(self, _timeout: float) -> None:
        """Forget what is in it."""
        self._called("abort")
        self.values, self.offsets = [], {}


class Scene:
    """The stage, its batches, its clock and its log."""

    def __init__(self, timeout_seconds: float = 5.0) -> None:
        self.log = Log()
        self.now = 0.0
        self.commit = CommitStage()
        self.numbers = 0
        self.stage = TransactionStage(
            lambda: Producer(self.log),  # type: ignore[arg-type,return-value]
            Patience(initial_seconds=1e-4, max_seconds=1e-3, on_waiting=lambda *_: None),
            self.commit,
            interval_seconds=0.1,
            timeout_seconds=timeout_seconds,
            group_metadata=lambda: "metadata",
            committed=self._committed,
            on_waiting=lambda *_: None,
            monotonic=lambda: self.now,
        )

    def _committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        return {
            p: self.log.offsets[p.topic, p.number]
            for p in partitions
            if (p.topic, p.number) in self.log.offsets
        }

    def batch(self, *items: Item) -> Batch:
        """A batch with a prediction for each item, on its way."""
        mine, ends = self.commit.admit(items)
        self.numbers += 1
        outgoing = [
            Outgoing("out", None, b"%d/%d" % (at.number, each.offset), [], at)
            for each in mine
            for at in [each.record.partition]
        ]
        return Batch(self.numbers, mine, outgoing=outgoing, ends=ends)

    def deliver(self, *items: Item) -> list[Batch]:
        """Publish a batch of these items and finish it."""
        one = self.batch(*items)
        self.stage(one)
        return self.stage.finish(one)


@pytest.fixture
def scene() -> Scene:
    """A stage of its own."""
    return Scene()


@pytest.fixture(autouse=True)
def fresh() -> None:
    """Partitions of one test."""
    for each in (P, Q):
        each.revoked = each.ended = False


def test_batches_of_an_interval_share_a_transaction(scene: Scene) -> None:
    """The first two wait for it to end; the third finds it over."""
    assert scene.deliver(item(P, 0)) == []
    assert scene.deliver(item(P, 1)) == []
    assert scene.log.values == []
    assert scene.stage.put_off_seconds == pytest.approx(0.1)
    scene.now = 0.11
    assert [b.number for b in scene.deliver(item(P, 2), item(Q, 0))] == [1, 2, 3]
    assert scene.log.values == [b"0/0", b"0/1", b"0/2", b"1/0"]
    assert scene.log.offsets == {(P.topic, 0): 3, (Q.topic, 1): 1}
    assert scene.log.calls == ["init", "begin", "offsets", "commit"]
    assert scene.stage.put_off_seconds is None


def test_flushing_ends_it_at_once(scene: Scene) -> None:
    """Before a partition is given away, and at a stop; there may be nothing to end."""
    assert scene.stage.flush() == []
    scene.deliver(item(P, 0))
    assert len(scene.stage.flush()) == 1
    assert scene.log.values == [b"0/0"]
    assert scene.stage.flush() == []


def test_an_abortable_failure_publishes_the_same_bytes_again(scene: Scene) -> None:
    """All batches of the interval, those before the failure as well."""
    scene.deliver(item(P, 0))
    scene.deliver(item(P, 1))
    scene.log.raises["offsets"] = [failure(KafkaError.ILLEGAL_GENERATION, abort=True)]
    assert len(scene.stage.flush()) == 2
    assert scene.log.values == [b"0/0", b"0/1"]
    assert scene.log.calls.count("abort") == 1


def test_what_came_of_partitions_that_ended_is_left_out(scene: Scene) -> None:
    """Their next owner publishes it; the rest is published without it."""
    scene.deliver(item(P, 0), item(Q, 5))
    scene.commit.revoke([Q])
    scene.commit.forget([Q])
    (done,) = scene.stage.flush()
    assert scene.log.values == [b"0/0"]
    assert scene.log.offsets == {(P.topic, 0): 1}
    assert [i.record.partition for i in done.items] == [P]


def test_a_partition_that_ends_while_the_generation_is_read_is_left_out(scene: Scene) -> None:
    """Whoever got it did so in a later generation, and nothing of it may be in this one."""
    scene.deliver(item(P, 0), item(Q, 5))
    scene.stage._group_metadata = lambda: scene.commit.forget([Q])
    scene.stage.flush()
    assert scene.log.values == [b"0/0"]
    assert scene.log.offsets == {(P.topic, 0): 1}


def test_a_fatal_failure_replaces_the_producer(scene: Scene) -> None:
    """Its successor publishes the same bytes."""
    scene.deliver(item(P, 0))
    scene.log.raises["offsets"] = [failure(KafkaError._FENCED, fatal=True)]
    scene.stage.flush()
    assert scene.log.values == [b"0/0"]
    assert scene.log.calls.count("init") == 2


@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_whose_answer_is_lost_is_asked_after(scene: Scene, committed: bool) -> None:
    """The group's offsets tell whether it was: nothing is published twice, and nothing is lost."""
    scene.deliver(item(P, 0))
    scene.log.lost_answers = int(committed)
    scene.log.raises["commit"] = [failure(KafkaError._FENCED, fatal=True)]
    assert len(scene.stage.flush()) == 1
    assert scene.log.values == [b"0/0"]
    assert scene.log.calls.count("commit") == (1 if committed else 2)


def test_a_commit_that_took_too_long_is_asked_again(scene: Scene) -> None:
    """By the same producer, without anything sent a second time."""
    scene.deliver(item(P, 0))
    scene.log.raises["commit"] = [failure(KafkaError._TIMED_OUT, retriable=True)]
    scene.stage.flush()
    assert scene.log.values == [b"0/0"]
    assert scene.log.calls == ["init", "begin", "offsets", "commit", "commit"]


def test_nothing_is_open_while_another_service_is_waited_for(scene: Scene) -> None:
    """Suspended, the transaction is aborted; the next batch publishes both."""
    scene.deliver(item(P, 0))
    scene.stage.suspend()
    assert scene.log.calls[-1] == "abort"
    scene.deliver(item(P, 1))
    scene.stage.flush()
    assert scene.log.values == [b"0/0", b"0/1"]


def test_a_call_that_never_returns_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its producer: librdkafka may wait for ever for a coordinator that went away."""
    monkeypatch.setattr("stream_app.transactions._GRACE_SECONDS", 0.05)
    scene = Scene(timeout_seconds=0.05)
    never = threading.Event()
    scene.deliver(item(P, 0))
    scene.log.before["offsets"] = lambda: bool(never.wait(30)) and None
    assert len(scene.stage.flush()) == 1
    never.set()
    assert scene.log.values == [b"0/0"]
    assert scene.log.calls.count("init") == 2


def test_a_refusal_for_ever_ends_the_process(scene: Scene) -> None:
    """Trying again would not help who lacks an ACL."""
    scene.log.raises["init"] = [failure(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)]
    with pytest.raises(FatalError, match="kafka refuses the transaction"):
        scene.deliver(item(P, 0))


def test_abandoned_batches_are_told() -> None:
    """A crash leaves them to the next start."""
    scene = Scene()
    scene.deliver(item(P, 0))
    assert [b.number for b in scene.stage.abandon()] == [1]
    assert scene.stage.flush() == []
