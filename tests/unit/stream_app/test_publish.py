"""Stage publish: what goes out for an item, and what becomes of a refused record."""

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from stream_app.dead_letters import DeadLetters
from stream_app.errors import StoppingError
from stream_app.origins import Origin
from stream_app.outgoing import FeatureLog, OutgoingRecords
from stream_app.patience import Patience
from stream_app.publish import PublishStage
from stream_app.records import Batch, Headers, Item, Outgoing, Served
from tests.unit.stream_app.builders import NOW, batch, failed, item, partition

P = partition(2)
SERVED = Served({"score": 0.1 + 0.2, "label": True}, "model", "3", "champion", None)
DEAD = DeadLetters("dead", group="g", code_version="1", model_version="m/3", clock=lambda: NOW)
TRACE = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


def served(offset: int = 7, served: Served = SERVED, **options: Any) -> Item:
    """An item with an answer, made from states of a minute before."""
    made = item(P, offset, **options)
    made.record.key = b"shop"
    made.served = served
    made.newest = NOW - 60.0
    return made


def outgoing(*items: Item, feature_log: FeatureLog | None = None) -> list[Outgoing]:
    """What goes out for a batch of items."""
    one = batch(1, items)
    OutgoingRecords("predictions", DEAD, feature_log)(one)
    return one.outgoing


def test_a_prediction() -> None:
    """Its value is event, state and model; its key is the event's."""
    (prediction,) = outgoing(served())
    assert (prediction.topic, prediction.key) == ("predictions", b"shop")
    assert json.loads(prediction.value or b"") == {
        "prediction_id": "orders-id-2-7",
        "event_id": "e7",
        "event_time": NOW,
        "score": 0.1 + 0.2,
        "label": True,
        "model": {"name": "model", "version": "3"},
        "served_by": "champion",
        "degraded": None,
        "state_freshness_seconds": 60.0,
    }


def test_its_bytes_are_the_same_whenever_they_are_made() -> None:
    """Made again after a crash, in another batch, they do not differ: no clock, no counter."""
    alone, together = outgoing(served()), outgoing(served(6), served(7), served(8))
    assert alone[0].value == together[1].value
    assert alone[0].headers == together[1].headers
    assert b'"score":0.30000000000000004' in (alone[0].value or b"")


def test_without_state_freshness_is_null() -> None:
    """Minus infinity is for us, not for consumers."""
    unknown = served()
    unknown.newest = -math.inf
    (prediction,) = outgoing(unknown)
    assert json.loads(prediction.value or b"")["state_freshness_seconds"] is None


def test_a_degraded_prediction_says_so() -> None:
    """Who served it, and why not the champion."""
    answer = Served({"score": 0.5}, "static", "1", "static", "model-error")
    value = json.loads(outgoing(served(served=answer))[0].value or b"")
    assert (value["served_by"], value["degraded"]) == ("static", "model-error")
    assert value["model"] == {"name": "static", "version": "1"}


def test_a_value_is_json_even_where_a_field_is_not_finite() -> None:
    """JSON knows no NaN: strict parsers would refuse the message."""
    (prediction,) = outgoing(
        served(served=Served({"margin": math.nan}, "m", "1", "champion", None))
    )

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    json.loads(prediction.value or b"", parse_constant=refuse)


def test_headers_tell_where_it_came_from() -> None:
    """Source coordinates, id and content type."""
    (prediction,) = outgoing(served())
    assert prediction.headers == [
        ("prediction-id", b"orders-id-2-7"),
        ("source-topic", b"orders"),
        ("source-partition", b"2"),
        ("source-offset", b"7"),
        ("content-type", b"application/json"),
    ]


def test_headers_of_the_event_are_passed_on() -> None:
    """Its trace, doubles and absent values; not what would contradict ours."""
    came: Headers = [
        TRACE, ("tenant", b"a"), ("tenant", b"b"), ("none", None), ("content-type", b"avro"),
        ("source-offset", b"1"), ("state-ahead", b"true"), ("dead-letter.reason", b"bad-time"),
    ]  # fmt: skip
    (prediction,) = outgoing(served(headers=came))
    assert prediction.headers[5:] == came[:4]


def test_a_record_whose_state_was_ahead_says_so() -> None:
    """It is left out of accuracy and skew."""
    ahead = served()
    ahead.ahead = True
    assert ("state-ahead", b"true") in outgoing(ahead)[0].headers


def test_each_item_has_its_own_way_in_the_order_of_the_batch() -> None:
    """A prediction, a dead letter, or nothing for an event that only updates."""
    records = outgoing(served(0), item(P, 1), failed(P, 2), served(3))
    assert [each.topic for each in records] == ["predictions", "dead", "predictions"]


def test_a_failed_item_is_never_predicted() -> None:
    """Even if a model answered before it failed."""
    both = served()
    both.failure = failed(P).failure
    assert [each.topic for each in outgoing(both)] == ["dead"]


class TestFeatureLog:
    def test_the_row_is_logged_under_the_predictions_id(self) -> None:
        """Missing numbers are null; strings stay."""
        logged = served()
        logged.row = [1.5, math.nan, "north"]
        prediction, row = outgoing(logged, feature_log=FeatureLog("rows", 1.0, ["a", "b", "c"]))
        assert (row.topic, row.key) == ("rows", prediction.key)
        assert json.loads(row.value or b"") == {
            "prediction_id": "orders-id-2-7",
            "event_id": "e7",
            "columns": {"a": 1.5, "b": None, "c": "north"},
        }

    @pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (0.5, 1), (1.0, 2)])
    def test_the_share_is_sampled_by_the_records_own_hash(
        self, share: float, expected: int
    ) -> None:
        """Tried again, the same ones are logged."""
        low, high = served(0), served(1)
        low.row, high.row = [1.0], [1.0]
        low.digest, high.digest = 2**62, 3 * 2**62
        records = outgoing(low, high, feature_log=FeatureLog("rows", share, ["a"]))
        assert sum(each.topic == "rows" for each in records) == expected


class FakeProducer:
    """Acknowledges what it is given, or refuses as told: one answer a record, then success."""

    def __init__(self, *answers: int | None, unflushed: Sequence[int] = ()) -> None:
        self.answers = list(answers)
        self.unflushed = list(unflushed)
        self.acknowledged: list[tuple[str, bytes | None, bytes | None, Headers]] = []
        self.polls = 0

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        *,
        headers: Headers,
        on_delivery: Callable[[KafkaError | None, Any], None],
    ) -> None:
        """Answer by the next code: 0 is a full queue."""
        code = self.answers.pop(0) if self.answers else None
        if code == 0:
            raise BufferError
        if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise KafkaException(KafkaError(code))
        if code is None:
            self.acknowledged.append((topic, value, key, headers))
        on_delivery(None if code is None else KafkaError(code, fatal=code == FATAL), None)

    def poll(self, timeout: float) -> int:
        """Make room."""
        self.polls += 1
        return 0

    def flush(self, timeout: float) -> int:
        """How many are not acknowledged yet."""
        return self.unflushed.pop(0) if self.unflushed else 0


FATAL = KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER
LARGE = KafkaError.MSG_SIZE_TOO_LARGE


class Publishing:
    """The stage over fake producers, without time."""

    def __init__(self, *producers: FakeProducer) -> None:
        self.producers = list(producers)
        made = iter(producers)
        self.waiting: list[tuple[str, bool]] = []
        self.stopping = False
        self.stage = PublishStage(
            lambda: next(made),  # type: ignore[arg-type, return-value]
            Patience(initial_seconds=0.0, max_seconds=0.0, on_waiting=self._note),
            stopping=lambda: self.stopping,
            on_waiting=self._note,
        )

    def _note(self, service: str, waiting: bool, _why: str) -> None:
        self.waiting.append((service, waiting))

    def __call__(self, *values: bytes) -> list[bytes | None]:
        """Publish records; return the values acknowledged."""
        records = [Outgoing("out", b"k", value, []) for value in values]
        self.stage(Batch(1, [], outgoing=records))
        return [value for p in self.producers for _, value, _, _ in p.acknowledged]


def test_a_batch_is_published_in_order() -> None:
    """And nothing is waited for that was acknowledged."""
    publish = Publishing(FakeProducer())
    assert publish(b"1", b"2", b"3") == [b"1", b"2", b"3"]
    assert publish.waiting == []


def test_a_full_queue_is_waited_for() -> None:
    """The record is tried again once there is room."""
    producer = FakeProducer(None, 0, 0)
    assert Publishing(producer)(b"1", b"2") == [b"1", b"2"]
    assert producer.polls == 2


@pytest.mark.parametrize("code", [KafkaError._MSG_TIMED_OUT, KafkaError.UNKNOWN_TOPIC_OR_PART])
def test_only_what_was_refused_is_published_again(code: int) -> None:
    """Whether the refusal comes with the delivery or at once; the others are not doubled."""
    publish = Publishing(FakeProducer(None, code, None, code))
    assert publish(b"1", b"2", b"3") == [b"1", b"3", b"2"]
    assert publish.waiting == [("kafka", True), ("kafka", True), ("kafka", False)]


def test_a_fatal_error_replaces_the_producer() -> None:
    """Its successor publishes the same bytes."""
    publish = Publishing(FakeProducer(None, FATAL), FakeProducer())
    assert publish(b"1", b"2") == [b"1", b"2"]
    assert [len(p.acknowledged) for p in publish.producers] == [1, 1]


def test_what_is_too_large_goes_out_without_its_value() -> None:
    """And says how much was left out."""
    producer = FakeProducer(LARGE)
    assert Publishing(producer)(b"large") == [None]
    (_, _, key, headers) = producer.acknowledged[0]
    assert key == b"k"
    assert headers == [("dead-letter.value-omitted-bytes", b"5")]


def test_slow_acknowledgements_are_waited_for_and_told() -> None:
    """Once, however long it takes."""
    publish = Publishing(FakeProducer(unflushed=[1, 1, 1]))
    assert publish(b"1") == [b"1"]
    assert publish.waiting == [("kafka", True), ("kafka", False)]


def test_stopping_ends_the_wait_for_acknowledgements() -> None:
    """The batch is not finished: it is read again."""
    publish = Publishing(FakeProducer(unflushed=[1] * 5))
    publish.stopping = True
    with pytest.raises(StoppingError):
        publish(b"1")


def test_nothing_to_publish_asks_nothing_of_the_producer() -> None:
    """A batch of updates alone goes straight on."""
    producer = FakeProducer(unflushed=[1])
    assert Publishing(producer)() == []
    assert producer.unflushed == [1]


def test_a_replayed_record_keeps_the_id_of_its_first_origin() -> None:
    """Replayed twice it yields one id; the headers tell where this copy of it lies."""
    replayed = served(9)
    replayed.first_origin = Origin("first-topic-id", 3, 41)
    (prediction,) = outgoing(replayed)
    assert ("prediction-id", b"first-topic-id-3-41") in prediction.headers
    assert ("source-offset", b"9") in prediction.headers
    assert json.loads(prediction.value or b"")["prediction_id"] == "first-topic-id-3-41"
