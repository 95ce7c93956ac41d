"""Stage publish, at least once: what becomes of what the brokers refuse, and of dead producers.

The producers here answer as librdkafka's do; against real brokers the stage is tested in
tests/integration/test_refused_records.py.
"""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream_app.delivery.publish import PublishStage
from stream_app.delivery.refusals import Refusals
from stream_app.errors import FatalError, RefusedError, StoppingError
from stream_app.observer.events import WaitingBegan, WaitingEnded
from stream_app.observer.observer import Observer, on
from stream_app.records.batch import Batch, Outgoing
from stream_app.records.headers import Headers
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.waiting.retry import Retry
from stream_app.wire.dead_letter import DeadLetters
from tests.unit.builders import NOW, failed, item, partition

FATAL = KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "told", True)
P, Q = partition(0), partition(1)


def size_of(topic: str, value: bytes | None, key: bytes | None, headers: Headers) -> int:
    """Bytes of a record."""
    return len(value or b"") + len(key or b"") + sum(len(n) + len(v or b"") for n, v in headers)


class Brokers:
    """What topics take, by size; what they refuse for another reason, by topic."""

    def __init__(self, **limits: int) -> None:
        self.limits = limits
        self.errors: dict[str, list[KafkaError]] = {}
        self.taken: list[tuple[str, bytes | None, bytes | None, Headers]] = []
        self.tries: list[int] = []
        """Records of each try, as they were flushed."""

    def values(self) -> list[bytes | None]:
        """What was acknowledged."""
        return [value for _, value, _, _ in self.taken]


class FakeProducer:
    """One batch a flush, or one a record."""

    def __init__(self, brokers: Brokers, *, alone: bool, batch_bytes: int) -> None:
        self.brokers = brokers
        self.alone = alone
        self.batch_bytes = batch_bytes
        self.queue: list[tuple[Any, ...]] = []
        self.raises: dict[str, list[BaseException]] = {}
        self.most = 1_000_000

    def __len__(self) -> int:
        return len(self.queue)

    def _raise(self, call: str) -> None:
        if self.raises.get(call):
            raise self.raises[call].pop(0)

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        *,
        headers: Headers,
        on_delivery: Callable[[KafkaError | None, Any], None],
    ) -> None:
        """Queue a record."""
        self._raise("produce")
        if len(self.queue) >= self.most:
            raise BufferError
        self.queue.append((topic, value, key, headers, on_delivery))

    def poll(self, _timeout: float) -> int:
        """Make room."""
        self._raise("poll")
        return self._send()

    def flush(self, _timeout: float) -> int:
        """Send what is queued; how many are not reported on."""
        self._raise("flush")
        self._send()
        return len(self.queue)

    def _send(self) -> int:
        queue, self.queue = self.queue, []
        if queue:
            self.brokers.tries.append(len(queue))
        batches: list[list[tuple[Any, ...]]] = []
        size = 0
        for each in queue:
            own = size_of(*each[:4])
            if not batches or self.alone or size + own > self.batch_bytes:
                batches.append([])
                size = 0
            batches[-1].append(each)
            size += own
        for batch in batches:
            self._answer(batch)
        return len(queue)

    def _answer(self, batch: list[tuple[Any, ...]]) -> None:
        for topic in {each[0] for each in batch}:
            mine = [each for each in batch if each[0] == topic]
            error = None
            if sum(size_of(*each[:4]) for each in mine) > self.brokers.limits.get(topic, 10**9):
                error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
            elif self.brokers.errors.get(topic):
                error = self.brokers.errors[topic].pop(0)
            for each in mine:
                if error is None:
                    self.brokers.taken.append(each[:4])
                if error is not None or self.alone:
                    each[4](error, None)


class FakeProducers:
    """Makes them, and lets the next ones fail."""

    def __init__(self, brokers: Brokers) -> None:
        self.brokers = brokers
        self.made: list[FakeProducer] = []
        self.batch_bytes = 1_000_000
        self.raises: list[dict[str, list[BaseException]]] = []

    def _make(self, *, alone: bool) -> Any:
        made = FakeProducer(self.brokers, alone=alone, batch_bytes=self.batch_bytes)
        if self.raises:
            made.raises = self.raises.pop(0)
        self.made.append(made)
        return made

    def batching(self) -> Any:
        """For everything."""
        return self._make(alone=False)

    def alone(self) -> Any:
        """For suspects."""
        return self._make(alone=True)

    def make_batches_smaller(self) -> bool:
        """A quarter."""
        self.batch_bytes //= 4
        return True


class Publishing:
    """The stage over fake brokers, without time."""

    def __init__(self, brokers: Brokers | None = None, refusal_seconds: float = 0.0) -> None:
        self.brokers = brokers or Brokers()
        self.producers = FakeProducers(self.brokers)
        self.waiting: list[tuple[str, bool]] = []
        self.given_up: list[bool] = []
        self.on_wait: Callable[[], None] = lambda: None
        observer = Observer([on(WaitingBegan, self._began), on(WaitingEnded, self._ended)])
        self.stopping = False
        self.ended: set[Partition] = set()
        self.looks = 0
        self.look_raises: list[Exception] = []
        self.why: str | None = None
        self.whys: list[str] = []
        self.dead = DeadLetters(
            "dead", group="g", code_version="1", model_version="m/3", clock=lambda: NOW
        )
        self.stage = PublishStage(
            self.producers,  # type: ignore[arg-type]
            Retry(
                initial_seconds=0.0,
                max_seconds=0.0,
                observer=observer,
                refusal_seconds=refusal_seconds,
            ),
            Refusals(self.dead, limit_bytes=self.brokers.limits.get, clock=lambda: NOW),
            has_ended=self.ended.__contains__,
            look=self._look,
            why_unacknowledged=lambda: self.why,
            stopping=lambda: self.stopping,
            observer=observer,
        )

    def _look(self) -> None:
        self.looks += 1
        if self.look_raises:
            raise self.look_raises.pop(0)

    def _began(self, wait: WaitingBegan) -> None:
        self.waiting.append((wait.service, True))
        self.whys.append(wait.why)
        self.on_wait()

    def _ended(self, wait: WaitingEnded) -> None:
        self.waiting.append((wait.service, False))
        self.given_up.append(wait.is_given_up)

    def __call__(self, *values: bytes) -> list[bytes | None]:
        """Publish predictions of these values; return what was acknowledged."""
        self.batch(*[prediction(n, value) for n, value in enumerate(values)])
        return self.brokers.values()

    def batch(self, *outgoing: Outgoing) -> Batch:
        """Publish a batch."""
        items = [each.item for each in outgoing if each.item is not None]
        ends = {each.record.partition: each.record.offset for each in items}
        one = Batch(1, items, outgoing=list(outgoing), ends=ends)
        self.stage(one)
        return one


def prediction(
    number: int,
    value: bytes,
    *,
    key: bytes | None = b"k",
    headers: Headers | None = None,
    at: Any = P,
) -> Outgoing:
    """What goes out for a record: its headers and ours."""
    made: Item = item(at, number, headers=headers or [])
    made.record.key = key
    ours: Headers = [("prediction-id", b"%d" % number)]
    return Outgoing("out", key, value, ours + (headers or []), at, made)


def test_a_batch_is_published_in_order() -> None:
    """And nothing is waited for that was acknowledged."""
    publish = Publishing()
    assert publish(b"1", b"2", b"3") == [b"1", b"2", b"3"]
    assert publish.waiting == []


def test_a_full_queue_is_waited_for() -> None:
    """The record is tried again once there is room."""
    publish = Publishing()
    publish.producers.batching()
    publish.stage._made[publish.producers.batching] = made = publish.producers.made[0]  # type: ignore[assignment]
    made.most = 1
    assert publish(b"1", b"2") == [b"1", b"2"]


def test_a_record_that_no_queue_has_room_for_is_too_large() -> None:
    """It is not waited for, since nothing in front of it will ever make room."""
    publish = Publishing()
    for make in (publish.producers.batching, publish.producers.alone):
        publish.stage._made[make] = made = make()
        made.most = 0
    with pytest.raises(FatalError, match="the dead letter of orders"):
        publish(b"1")


def test_a_record_beyond_a_bound_of_the_producer_is_told_of_that_bound() -> None:
    """To raise what the topic takes would not help."""
    publish = Publishing()
    for make in (publish.producers.batching, publish.producers.alone):
        publish.stage._made[make] = made = make()
        refusal = KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "Unable to produce"))
        made.raises["produce"] = [refusal]
    batch = publish.batch(prediction(1, b"1"))
    (one,) = batch.items
    assert one.failure is not None
    assert "larger than producer.message.max.bytes" in one.failure.message
    assert one.failure.message.endswith("raise that property")


def test_what_passes_is_published_again() -> None:
    """As one batch with the same bytes."""
    brokers = Brokers()
    brokers.errors["out"] = [KafkaError(KafkaError._MSG_TIMED_OUT)]
    publish = Publishing(brokers)
    assert publish(b"1", b"2") == [b"1", b"2"]
    assert publish.waiting == [("kafka", True), ("kafka", False)]


def test_a_refused_batch_says_nothing_of_its_records() -> None:
    """Each is taken alone; the batches after it are smaller, so that they need not be tried twice."""
    publish = Publishing(Brokers(out=500))
    values = [b"%050d" % n for n in range(40)]
    assert publish(*values) == values
    assert publish.producers.batch_bytes == 250_000
    assert publish.waiting == []


def test_a_large_prediction_loses_the_headers_of_its_event_first() -> None:
    """Value, key and our headers stay."""
    publish = Publishing(Brokers(out=100))
    large = prediction(1, b"value", headers=[("blob", bytes(200))])
    one = publish.batch(prediction(0, b"small"), large)
    assert publish.brokers.values() == [b"small", b"value"]
    assert publish.brokers.taken[1][2:] == (b"k", [("prediction-id", b"1")])
    assert all(each.failure is None for each in one.items)
    assert publish.producers.batch_bytes == 250_000  # since the small one was refused with it


def test_a_prediction_that_does_not_fit_is_a_dead_letter() -> None:
    """Its item says so, for whoever counts; its neighbours are predicted."""
    publish = Publishing(Brokers(out=100))
    one = publish.batch(prediction(0, b"small"), prediction(1, bytes(200), headers=[("a", b"b")]))
    topics = [topic for topic, *_ in publish.brokers.taken]
    assert topics == ["out", "dead"]
    failure = one.items[1].failure
    assert failure is not None
    assert (failure.stage, failure.reason) == ("publish", "prediction-refused")
    for word in ("201 bytes", "allows 100", "max.message.bytes"):
        assert word in failure.message
    assert one.items[0].failure is None
    _, value, key, headers = publish.brokers.taken[1]
    assert (value, key) == (bytes(5), b"k")
    assert ("a", b"b") in headers
    assert ("dead-letter.state", b"applied") in headers


def test_a_dead_letter_is_told_of_what_was_left_out() -> None:
    """Headers, then the key, then the value instead of the key, then all."""
    for limit, left in ((10**6, (b"v" * 3_000, b"k" * 2_000)), (5_600, (b"v" * 3_000, b"k" * 2_000)),
                        (4_000, (b"v" * 3_000, None)), (3_000, (None, b"k" * 2_000)), (1_600, (None, None))):  # fmt: skip
        publish = Publishing(Brokers(dead=limit))
        bad = failed(P, 3, headers=[("blob", bytes(5_000))])
        bad.record.key, bad.record.value = b"k" * 2_000, b"v" * 3_000
        one = Batch(1, [bad], outgoing=[publish.dead(bad)])
        publish.stage(one)
        ((_, value, key, headers),) = publish.brokers.taken
        assert (value, key) == left, limit
        assert (("blob", bytes(5_000)) in headers) is (limit == 10**6)


def test_a_letter_that_can_lose_nothing_more_ends_the_worker() -> None:
    """With a sentence that names record, topic and remedy."""
    publish = Publishing(Brokers(dead=100))
    bad = failed(P, 3)
    with pytest.raises(
        FatalError, match=r"orders\[0\] offset 3 for topic dead.*max\.message\.bytes"
    ):
        publish.stage(Batch(1, [bad], outgoing=[publish.dead(bad)]))


def test_a_compacted_topic_refuses_what_has_no_key() -> None:
    """The prediction becomes a dead letter; a dead letter ends the worker."""
    invalid = KafkaError(KafkaError.INVALID_RECORD)
    brokers = Brokers()
    brokers.errors["out"] = [invalid] * 2
    publish = Publishing(brokers)
    one = publish.batch(prediction(0, b"v", key=None))
    assert [topic for topic, *_ in brokers.taken] == ["dead"]
    assert one.items[0].failure is not None
    assert "cleanup.policy" in one.items[0].failure.message
    brokers.errors["out"] = [invalid] * 2
    brokers.errors["dead"] = [invalid] * 2
    with pytest.raises(FatalError, match=r"cleanup\.policy=delete for dead"):
        publish.batch(prediction(0, b"v", key=None))


@pytest.mark.parametrize("code", [KafkaError.INVALID_RECORD, KafkaError.INVALID_TIMESTAMP])
def test_a_refused_timestamp_ends_the_worker(code: int) -> None:
    """librdkafka says INVALID_RECORD of it. The sentence names both clocks."""
    brokers = Brokers()
    brokers.errors["out"] = [KafkaError(code)] * 2
    with pytest.raises(FatalError, match=r"clocks? of .*brokers"):
        Publishing(brokers)(b"1")


@pytest.mark.parametrize("kind", ["feature row", "shadow prediction"])
def test_what_is_neither_a_prediction_nor_a_dead_letter_is_dropped_if_refused(kind: str) -> None:
    """The prediction of the same record is out."""
    publish = Publishing(Brokers(rows=100))
    row = Outgoing("rows", b"k", bytes(200), [], P, item(P, 0), kind)
    publish.batch(prediction(0, b"v"), row)
    assert publish.brokers.values() == [b"v"]


def test_a_missing_right_is_believed_after_a_while() -> None:
    """Then the worker ends; before that it says that it waits."""
    brokers = Brokers()
    brokers.errors["out"] = [KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)] * 5
    publish = Publishing(brokers)
    with pytest.raises(FatalError, match=r"the prediction of orders.* for topic out.*grant"):
        publish(b"1")
    assert publish.waiting == [("kafka", True), ("kafka", False)]


def test_what_was_published_is_not_published_again_with_what_waits() -> None:
    """A topic that takes nothing for a moment holds up its own records alone."""
    brokers = Brokers(out=100)
    brokers.errors["dead"] = [KafkaError(KafkaError._MSG_TIMED_OUT)] * 2
    publish = Publishing(brokers)
    publish.batch(prediction(0, b"small"), prediction(1, bytes(200)))
    assert [topic for topic, *_ in brokers.taken] == ["out", "dead"]


DEATHS: dict[str, dict[str, list[BaseException]]] = {
    "flush raises": {"flush": [KafkaException(FATAL)]},
    "flush raises in a callback": {"flush": [SystemError("returned NULL")]},
    "produce raises": {"produce": [KafkaException(KafkaError(KafkaError._FATAL))]},
    "poll raises": {"produce": [BufferError()], "poll": [KafkaException(FATAL)]},
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_producer_that_dies_is_replaced(death: str) -> None:
    """Its successor publishes the same bytes."""
    publish = Publishing(refusal_seconds=60.0)
    publish.producers.raises = [DEATHS[death]]
    assert set(publish(b"1", b"2")) == {b"1", b"2"}
    assert len(publish.producers.made) == 2


def test_a_producer_that_dies_is_replaced_if_it_is_for_suspects() -> None:
    """What it had published alone may come twice, but nothing is lost."""
    publish = Publishing(Brokers(out=100), refusal_seconds=60.0)
    publish.producers.raises = [{}, {"flush": [SystemError("returned NULL")]}]
    assert set(publish(bytes(60), bytes(61))) == {bytes(60), bytes(61)}


def test_producers_that_die_for_ever_end_the_worker() -> None:
    """None of them publishes: nothing is gained by making more."""
    publish = Publishing()
    publish.producers.raises = [{"flush": [KafkaException(FATAL)]} for _ in range(9)]
    with pytest.raises(FatalError, match="the producer failed"):
        publish(b"1")


def test_what_came_of_partitions_that_were_given_away_is_not_tried_again() -> None:
    """Their next owner publishes it, and counts it."""
    at = partition(5)
    brokers = Brokers()
    brokers.errors["out"] = [KafkaError(KafkaError._MSG_TIMED_OUT)]
    publish = Publishing(brokers)
    publish.on_wait = lambda: publish.ended.add(at)
    one = publish.batch(prediction(0, b"ours"), prediction(1, b"theirs", at=at))
    assert brokers.values() == [b"ours"]
    assert [each.record.partition for each in one.items] == [P]


class Slow(FakeProducer):
    """Acknowledges nothing for some time."""

    def flush(self, timeout: float) -> int:
        """Wait."""
        self.most -= 1
        return 1 if self.most > 0 else super().flush(timeout)


def slow(seconds: int, **options: Any) -> Publishing:
    """Brokers that need so long."""
    publish = Publishing(**options)
    made = Slow(publish.brokers, alone=False, batch_bytes=10**6)
    made.most = seconds
    publish.stage._made[publish.producers.batching] = made  # type: ignore[assignment]
    return publish


def test_slow_acknowledgements_are_waited_for_and_told() -> None:
    """Once, however long it takes; the topics are looked at meanwhile."""
    publish = slow(13)
    assert publish(b"1") == [b"1"]
    assert publish.waiting == [("kafka", True), ("kafka", False)]
    assert publish.looks == 2


def test_why_nothing_is_acknowledged_is_told_where_it_is_known() -> None:
    """The topics are there, and too few of their replicas are in sync."""
    publish = slow(8)
    publish.why = "1 of 3 replicas"
    assert publish(b"1") == [b"1"]
    assert publish.whys == ["records are not acknowledged", "1 of 3 replicas"]


def test_a_topic_that_is_gone_is_not_waited_for_until_librdkafka_notices() -> None:
    """The look says so; what was queued is published by another producer once the topic is back."""
    publish = slow(13, refusal_seconds=60.0)
    publish.look_raises = [RefusedError("kafka", "topic out is unknown")] * 3
    assert publish(b"1") == [b"1"]
    assert publish.looks == 4
    publish = slow(13)
    publish.look_raises = [RefusedError("kafka", "topic out is unknown")] * 3
    with pytest.raises(FatalError, match="topic out is unknown"):
        publish(b"1")


def test_stopping_ends_the_wait_for_acknowledgements() -> None:
    """The batch is not finished: it is read again."""
    publish = slow(5)
    publish.stopping = True
    with pytest.raises(StoppingError):
        publish(b"1")
    assert publish.waiting == []


def test_acknowledgements_that_a_stop_cuts_short_are_given_up() -> None:
    """The log must not say that Kafka is back."""
    publish = slow(5)
    publish.on_wait = lambda: setattr(publish, "stopping", True)
    with pytest.raises(StoppingError):
        publish(b"1")
    assert publish.given_up == [True]
    publish = slow(5)
    assert publish(b"1") == [b"1"]
    assert publish.given_up == [False]


def test_nothing_to_publish_asks_nothing_of_a_producer() -> None:
    """A batch of updates alone goes straight on."""
    publish = Publishing()
    assert publish() == []
    assert publish.producers.made == []


def test_closing_survives_a_dead_producer() -> None:
    """The worker stops in order."""
    publish = Publishing()
    publish(b"1")
    publish.producers.made[0].raises = {"flush": [SystemError("returned NULL")]}
    publish.stage.close()


def test_neighbours_of_a_record_without_key_pass_at_once() -> None:
    """librdkafka says of them that another record is invalid: taken alone, none waits."""
    brokers = Brokers()
    brokers.errors["out"] = [KafkaError(KafkaError._INVALID_DIFFERENT_RECORD)]
    publish = Publishing(brokers)
    assert publish(b"1", b"2") == [b"1", b"2"]
    assert publish.waiting == []
    assert publish.producers.batch_bytes == 1_000_000
