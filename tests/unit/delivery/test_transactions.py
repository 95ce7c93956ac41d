"""Stage publish, exactly once: what is in a transaction, when it ends, and what follows a failure.

The producer here answers as librdkafka's does and keeps what it committed; against a real one the
stage is tested in tests/integration/test_exactly_once.py.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream_app.delivery.refusals import Refusals
from stream_app.delivery.transactions import TransactionStage
from stream_app.errors import FatalError, RefusedError
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.observer.events import WaitingBegan
from stream_app.observer.observer import Observer
from stream_app.records.batch import Batch, Outgoing
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.waiting.retry import Retry
from stream_app.wire.dead_letter import DeadLetters
from tests.unit.builders import NOW, item, partition
from tests.unit.observers import listening

P, Q = partition(0), partition(1)


def failure(
    code: int, *, fatal: bool = False, retriable: bool = False, abort: bool = False
) -> KafkaException:
    """What a transactional call raises."""
    return KafkaException(KafkaError(code, "told", fatal, retriable, abort))


LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)


class Log:
    """What the brokers keep: committed values and offsets; calls in order."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.offsets: dict[tuple[str, int], int] = {}
        self.calls: list[str] = []
        self.raises: dict[str, list[BaseException]] = {}
        self.before: dict[str, Callable[[], None]] = {}
        self.lost_answers = 0
        self.limits: dict[str, int] = {}
        """Bytes that a topic takes at once."""
        self.errors: dict[str, KafkaError] = {}
        """Why a topic takes nothing."""
        self.sent = 0


class Producer:
    """A transactional producer. A refusal fails its transaction: nothing more of it is sent."""

    def __init__(self, log: Log, *, alone: bool = False, batch_bytes: int = 1_000_000) -> None:
        self.log = log
        self.alone = alone
        self.batch_bytes = batch_bytes
        self.queue: list[tuple[Any, ...]] = []
        self.has_failed = False
        self.values: list[bytes] = []
        self.offsets: dict[tuple[str, int], int] = {}

    def __len__(self) -> int:
        return len(self.queue)

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
        self.has_failed = False

    def produce(
        self, topic: str, value: bytes, key: bytes | None, *, headers: Any, on_delivery: Any
    ) -> None:
        """Put a record into it."""
        if self.has_failed:
            raise KafkaException(KafkaError(KafkaError._STATE))
        self.queue.append((topic, value, key, headers, on_delivery))

    def poll(self, _timeout: float) -> int:
        """Report."""
        return 0

    def flush(self, _timeout: float) -> int:
        """Send what is queued, batch by batch, until one is refused."""
        if self.log.raises.get("flush"):
            raise self.log.raises["flush"].pop(0)
        while self.queue and not self.has_failed:
            topic, size, batch = self.queue[0][0], 0, list[tuple[Any, ...]]()
            while self.queue and self.queue[0][0] == topic:
                own = sum(map(len, (self.queue[0][1] or b"", self.queue[0][2] or b"")))
                own += sum(len(n) + len(v or b"") for n, v in self.queue[0][3])
                if batch and (self.alone or size + own > self.batch_bytes):
                    break
                batch.append(self.queue.pop(0))
                size += own
            self._answer(topic, size, batch)
        return len(self.queue)

    def _answer(self, topic: str, size: int, batch: list[tuple[Any, ...]]) -> None:
        error = LARGE if size > self.log.limits.get(topic, 10**9) else self.log.errors.get(topic)
        self.log.sent += len(batch)
        self.has_failed = error is not None
        for each in batch:
            if error is None:
                self.values.append(each[1])
            if error is not None or self.alone:
                each[4](error, None)

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
        queue, self.queue = self.queue, []
        for each in queue:
            each[4](KafkaError(KafkaError._PURGE_QUEUE), None)
        self.values, self.offsets = [], {}


class Producers:
    """Makes them."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.batch_bytes = 1_000_000

    def batching(self) -> Any:
        """For everything."""
        return Producer(self.log, batch_bytes=self.batch_bytes)

    def alone(self) -> Any:
        """For suspects."""
        return Producer(self.log, alone=True)

    def make_batches_smaller(self) -> bool:
        """A quarter, and in the end one record."""
        if self.batch_bytes == 1:
            return False
        self.batch_bytes = self.batch_bytes // 4 if self.batch_bytes > 16_000 else 1
        return True


class Context:
    """The stage, its batches, its clock and its log."""

    def __init__(
        self,
        timeout_seconds: float = 5.0,
        refusal_seconds: float = 60.0,
        observer: Observer | None = None,
    ) -> None:
        """`observer`: is told of waits."""
        self.log = Log()
        self.producers = Producers(self.log)
        self.group_metadata: Callable[[], Any] = lambda: "metadata"
        self.look: Callable[[], None] = lambda: None
        self.dead = DeadLetters(
            "dead", group="g", code_version="1", model_version="m/3", clock=lambda: NOW
        )
        self.now = 0.0
        self.tracker = OffsetTracker()
        self.numbers = 0
        self.stage = TransactionStage(
            self.producers,  # type: ignore[arg-type]
            Retry(
                initial_seconds=1e-4,
                max_seconds=1e-3,
                observer=observer or Observer(),
                refusal_seconds=refusal_seconds,
            ),
            Refusals(self.dead, clock=lambda: NOW),
            self.tracker,
            interval_seconds=0.1,
            timeout_seconds=timeout_seconds,
            group_metadata=lambda: self.group_metadata(),
            committed=self._committed,
            look=lambda: self.look(),
            observer=Observer(),
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
        mine, ends = self.tracker.admit(items)
        self.numbers += 1
        outgoing = [
            Outgoing("out", None, b"%d/%d" % (at.number, each.offset), [], at, each)
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
def context() -> Context:
    """A stage of its own."""
    return Context()


def test_batches_of_an_interval_share_a_transaction(context: Context) -> None:
    """The first two wait for it to end; the third finds it over."""
    assert context.deliver(item(P, 0)) == []
    assert context.deliver(item(P, 1)) == []
    assert context.log.values == []
    assert context.stage.put_off_seconds == pytest.approx(0.1)
    context.now = 0.11
    assert [b.number for b in context.deliver(item(P, 2), item(Q, 0))] == [1, 2, 3]
    assert context.log.values == [b"0/0", b"0/1", b"0/2", b"1/0"]
    assert context.log.offsets == {(P.topic, 0): 3, (Q.topic, 1): 1}
    assert context.log.calls == ["init", "begin", "offsets", "commit"]
    assert context.stage.put_off_seconds is None


def test_flushing_ends_it_at_once(context: Context) -> None:
    """Before a partition is given away, and at a stop; there may be nothing to end."""
    assert context.stage.flush() == []
    context.deliver(item(P, 0))
    assert len(context.stage.flush()) == 1
    assert context.log.values == [b"0/0"]
    assert context.stage.flush() == []


def test_an_abortable_failure_publishes_the_same_bytes_again(context: Context) -> None:
    """All batches of the interval, those before the failure as well."""
    context.deliver(item(P, 0))
    context.deliver(item(P, 1))
    context.log.raises["offsets"] = [failure(KafkaError.ILLEGAL_GENERATION, abort=True)]
    assert len(context.stage.flush()) == 2
    assert context.log.values == [b"0/0", b"0/1"]
    assert context.log.calls.count("abort") == 1


def test_what_came_of_partitions_that_ended_is_left_out(context: Context) -> None:
    """Their next owner publishes it; the rest is published without it."""
    context.deliver(item(P, 0), item(Q, 5))
    context.tracker.revoke([Q])
    context.tracker.forget([Q])
    (done,) = context.stage.flush()
    assert context.log.values == [b"0/0"]
    assert context.log.offsets == {(P.topic, 0): 1}
    assert [i.record.partition for i in done.items] == [P]


def test_a_partition_that_ends_while_the_generation_is_read_is_left_out(context: Context) -> None:
    """Whoever got it did so in a later generation, and nothing of it may be in this one."""
    context.deliver(item(P, 0), item(Q, 5))
    context.group_metadata = lambda: context.tracker.forget([Q])
    context.stage.flush()
    assert context.log.values == [b"0/0"]
    assert context.log.offsets == {(P.topic, 0): 1}


def test_a_fatal_failure_replaces_the_producer(context: Context) -> None:
    """Its successor publishes the same bytes."""
    context.deliver(item(P, 0))
    context.log.raises["offsets"] = [failure(KafkaError._FENCED, fatal=True)]
    context.stage.flush()
    assert context.log.values == [b"0/0"]
    assert context.log.calls.count("init") == 2


@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_whose_answer_is_lost_is_asked_after(context: Context, committed: bool) -> None:
    """The group's offsets tell whether it was: nothing is published twice, and nothing is lost."""
    context.deliver(item(P, 0))
    context.log.lost_answers = int(committed)
    context.log.raises["commit"] = [failure(KafkaError._FENCED, fatal=True)]
    assert len(context.stage.flush()) == 1
    assert context.log.values == [b"0/0"]
    assert context.log.calls.count("commit") == (1 if committed else 2)


def test_a_commit_that_took_too_long_is_asked_again(context: Context) -> None:
    """By the same producer, without anything sent a second time."""
    context.deliver(item(P, 0))
    context.log.raises["commit"] = [failure(KafkaError._TIMED_OUT, retriable=True)]
    context.stage.flush()
    assert context.log.values == [b"0/0"]
    assert context.log.calls == ["init", "begin", "offsets", "commit", "commit"]


def test_nothing_is_open_while_another_service_is_waited_for(context: Context) -> None:
    """Suspended, the transaction is aborted; the next batch publishes both."""
    context.deliver(item(P, 0))
    context.stage.suspend()
    assert context.log.calls[-1] == "abort"
    context.deliver(item(P, 1))
    context.stage.flush()
    assert context.log.values == [b"0/0", b"0/1"]


def test_a_call_that_never_returns_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its producer: librdkafka may wait for ever for a coordinator that went away."""
    monkeypatch.setattr("stream_app.kafka.bounded_calls._GRACE_SECONDS", 0.05)
    context = Context(timeout_seconds=0.05)
    never = threading.Event()
    context.deliver(item(P, 0))
    context.log.before["offsets"] = lambda: bool(never.wait(30)) and None
    assert len(context.stage.flush()) == 1
    never.set()
    assert context.log.values == [b"0/0"]
    assert context.log.calls.count("init") == 2


def test_a_missing_right_is_believed_after_a_while() -> None:
    """Trying again would not help who lacks an ACL, unless the brokers have just started."""
    context = Context(refusal_seconds=0.0)
    context.log.raises["init"] = [
        failure(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED, fatal=True) for _ in range(3)
    ]
    with pytest.raises(FatalError, match=r"kafka refuses publishing.*grant"):
        context.deliver(item(P, 0))
    context = Context()
    context.log.raises["init"] = [failure(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)]
    context.deliver(item(P, 0))
    assert len(context.stage.flush()) == 1


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("begin", SystemError("returned NULL")),
        ("flush", SystemError("returned NULL")),
        ("flush", failure(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, fatal=True)),
        ("offsets", failure(KafkaError._FATAL)),
        ("commit", failure(KafkaError._STATE)),
    ],
)
def test_a_producer_that_dies_in_any_call_is_replaced(call: str, error: BaseException) -> None:
    """Its successor publishes the same bytes; where each of them dies the worker ends."""
    context = Context()
    context.log.raises[call] = [error]
    context.deliver(item(P, 0))
    context.stage.flush()
    assert context.log.values == [b"0/0"]
    context = Context(refusal_seconds=0.0)
    context.log.raises[call] = [error] * 5
    with pytest.raises(FatalError, match="the producer failed"):  # noqa: PT012 - in which is said above
        context.deliver(item(P, 0))
        context.stage.flush()


def outgoing(*values: bytes, topic: str = "out") -> Batch:
    """A batch with a prediction of each value."""
    items = [item(P, n) for n in range(len(values))]
    records = [
        Outgoing(topic, b"k", value, [], P, each) for each, value in zip(items, values, strict=True)
    ]
    return Batch(1, items, outgoing=records, ends={P: len(values) - 1})


def test_a_refused_batch_says_nothing_of_its_records() -> None:
    """Each is tried alone; then the transaction is made of smaller batches."""
    context = Context()
    context.log.limits = {"out": 20_000}
    values = [b"%0500d" % n for n in range(300)]
    batch = outgoing(*values)
    context.stage(batch)
    assert context.stage.flush() == [batch]
    assert context.log.values == values
    assert all(each.failure is None for each in batch.items)
    # Batches of a million bytes, alone, of a quarter, a sixteenth; the next quarter fits.
    assert context.log.sent <= 5 * 300


def test_what_is_refused_alone_is_replaced_in_its_place() -> None:
    """A dead letter instead of a prediction; its neighbours are committed with it."""
    context = Context()
    context.log.limits = {"out": 1_000}
    batch = outgoing(b"a", bytes(2_000), b"b")
    context.stage(batch)
    assert context.stage.flush() == [batch]
    assert context.log.values == [b"a", bytes(5), b"b"]
    assert [each.failure and each.failure.reason for each in batch.items] == [
        None, "prediction-refused", None,
    ]  # fmt: skip
    assert context.log.offsets == {(P.topic, 0): 3}


def test_many_refused_records_cost_what_they_are_and_no_more() -> None:
    """Each refusal ends a transaction; what was taken before is not sent again for each."""
    context = Context()
    context.log.limits = {"out": 1_000}
    values = [bytes(2_000) if n % 2 else b"%d" % n for n in range(1_000)]
    batch = outgoing(*values)
    context.stage(batch)
    context.stage.flush()
    assert len(context.log.values) == 1_000
    # A try of all, each record alone, 500 letters, and the transaction itself.
    assert context.log.sent <= 1_000 + 1_000 + 500 + 1_000 + 1_000
    assert context.log.calls.count("abort") <= 500 + 5


def test_records_are_tried_alone_in_transactions_that_end_before_brokers_abort_them() -> None:
    """Slow brokers take some tens of milliseconds for each, and there may be hundreds."""
    context = Context(timeout_seconds=5.0)
    context.log.limits["out"] = 1_000
    open_since, lasted = [0.0], list[float]()

    def begin(self: Producer) -> None:
        open_since[0] = context.now
        Producer.begin_transaction(self)

    def answer(self: Producer, topic: str, size: int, batch: list[Any]) -> None:
        context.now += 0.05
        lasted.append(context.now - open_since[0])
        Producer._answer(self, topic, size, batch)

    slow = type("Slow", (Producer,), {"begin_transaction": begin, "_answer": answer})
    context.producers.alone = lambda: slow(context.log, alone=True)  # type: ignore[method-assign]
    context.stage(outgoing(*[b"x" * 100] * 400, b"y" * 2_000))
    context.stage.flush()
    assert len(context.log.values) == 401  # the last one is a dead letter
    assert max(lasted) < 5.0


def test_a_letter_that_can_lose_nothing_more_ends_the_worker() -> None:
    """It does not go round for ever."""
    context = Context()
    context.log.limits = {"out": 1_000, "dead": 10}
    context.stage(outgoing(bytes(2_000)))
    with pytest.raises(
        FatalError, match=r"orders\[0\] offset 0 for topic dead.*max\.message\.bytes"
    ):
        context.stage.flush()


def test_a_topic_that_refuses_everything_is_believed_after_a_while() -> None:
    """Its right was withdrawn while the worker runs."""
    context = Context(refusal_seconds=0.0)
    context.log.errors = {"out": KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)}
    context.stage(outgoing(b"a"))
    with pytest.raises(FatalError, match=r"topic out.*grant"):
        context.stage.flush()


def test_the_topics_are_looked_at_before_anything_is_tried_again() -> None:
    """One that was deleted is named, instead of records that time out for ever."""
    context = Context(refusal_seconds=0.0)
    context.log.errors = {"out": KafkaError(KafkaError._MSG_TIMED_OUT)}

    def look() -> None:
        raise RefusedError("kafka", "topic out is unknown")

    context.look = look
    context.stage(outgoing(b"a"))
    with pytest.raises(FatalError, match="topic out is unknown"):
        context.stage.flush()


def test_what_came_of_partitions_that_ended_is_not_tried_again(context: Context) -> None:
    """Nor is it tried alone."""
    context.log.limits = {"out": 1_000}
    batch = context.batch(item(P, 0), item(Q, 5))
    batch.outgoing[1].value = bytes(2_000)
    context.stage(batch)
    context.log.before["abort"] = lambda: context.tracker.forget([Q])
    (done,) = context.stage.flush()
    assert context.log.values == [b"0/0"]
    assert [each.record.partition for each in done.items] == [P]


def test_abandoned_batches_are_told() -> None:
    """A crash leaves them to the next start."""
    context = Context()
    context.deliver(item(P, 0))
    assert [b.number for b in context.stage.abandon()] == [1]
    assert context.stage.flush() == []


def test_a_topic_that_takes_less_than_two_records_takes_one_after_the_other() -> None:
    """Batches get smaller until they hold one record; that is the end of it."""
    context = Context(refusal_seconds=0.0)
    context.log.limits = {"out": 15}
    values = [b"%010d" % n for n in range(20)]
    context.stage(outgoing(*values))
    context.stage.flush()
    assert context.log.values == values


def test_a_topic_whose_limit_is_lowered_meanwhile_is_asked_again() -> None:
    """What it took alone a moment ago it does not take now."""
    context = Context()
    context.log.limits = {"out": 15}
    values = [b"%010d" % n for n in range(20)]
    batch = outgoing(*values)
    context.stage(batch)
    begun = []

    def lower() -> None:
        begun.append(len(begun))
        context.log.before["begin"] = lower
        if len(begun) == 2:
            context.log.limits["out"] = 5

    context.log.before["begin"] = lower
    context.stage.flush()
    assert all(each.failure is not None for each in batch.items)
    assert len(context.log.values) == 20


def test_what_transactions_need_is_seen_before_the_group_is_joined() -> None:
    """The right to the transactional id, and a timeout that the brokers allow."""
    context = Context()
    context.stage.check()
    assert context.log.calls == ["init"]
    context = Context()
    context.log.raises["init"] = [failure(KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED)]
    with pytest.raises(RefusedError, match="grant"):
        context.stage.check()
    context.log.raises["init"] = [failure(KafkaError.INVALID_TRANSACTION_TIMEOUT, fatal=True)]
    with pytest.raises(FatalError, match="transaction_timeout_seconds"):
        context.stage.check()


def test_closing_leaves_to_the_brokers_what_they_refuse_to_abort(context: Context) -> None:
    """The worker stops in order all the same."""
    context.deliver(item(P, 0))
    context.log.raises["abort"] = [failure(KafkaError.UNSUPPORTED_VERSION)]
    context.stage.close()
    assert "abort" in context.log.calls


def test_a_transaction_that_fails_while_records_are_handed_over_says_why_when_it_is_aborted() -> (
    None
):
    """As often as that happens: it is no refusal that lasts."""
    context = Context(refusal_seconds=0.0)
    context.log.limits = {"out": 15}
    values = [b"%010d" % n for n in range(20)]
    batch = outgoing(*values)
    plain = Producer.produce
    late: list[Any] = []

    def produce(self: Producer, *arguments: Any, **options: Any) -> None:
        """librdkafka sends in the background, and fails before the last record is handed over."""
        plain(self, *arguments, **options)
        if not self.alone and len(self.queue) == 10 and self.batch_bytes > 1:
            self.has_failed = True
            late.extend(self.queue)
            self.queue = []

    def abort(self: Producer, timeout: float) -> None:
        """Brings the reports."""
        for each in late:
            each[4](LARGE, None)
        late.clear()
        plain_abort(self, timeout)

    plain_abort = Producer.abort_transaction
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Producer, "produce", produce)
        patch.setattr(Producer, "abort_transaction", abort)
        context.stage(batch)
        context.stage.flush()
    assert context.log.values == values


def test_a_transaction_that_fails_for_ever_without_a_reason_ends_the_worker() -> None:
    """After a while, and not never."""
    context = Context(refusal_seconds=0.0)

    def produce(self: Producer, *_: Any, **__: Any) -> None:
        raise KafkaException(KafkaError(KafkaError._STATE))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Producer, "produce", produce)
        with pytest.raises(FatalError, match="the transaction failed"):
            context.stage(outgoing(b"a"))


def test_a_report_that_comes_too_late_is_no_absence_of_the_brokers() -> None:
    """Records were dropped with another one, and which one is not told: they are tried again at once.

    With every seventh record refused it was waited for, longer each time.
    """
    observer, waits = listening(WaitingBegan)
    context = Context(observer=observer)
    context.log.limits = {"out": 1_000}
    answer = Producer._answer
    late = [2]

    def keep_to_oneself(self: Producer, topic: str, size: int, batch: list[Any]) -> None:
        if self.alone and size > 1_000 and late[0]:
            late[0] -= 1
            self.has_failed = True
            batch[0][4](KafkaError(KafkaError._PURGE_INFLIGHT), None)
        else:
            answer(self, topic, size, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Producer, "_answer", keep_to_oneself)
        batch = outgoing(b"a", bytes(2_000), b"b")
        context.stage(batch)
        assert context.stage.flush() == [batch]
    assert not late[0]
    assert [each.failure is not None for each in batch.items] == [False, True, False]
    assert all("urge" not in why for why in (wait.why for wait in waits)), waits
