"""What goes out for an item: a prediction, a dead letter, a row of the feature log."""

import json
import math
from typing import Any

import numpy as np
import pytest

from stream_app.features.usecase import Prediction
from stream_app.records.batch import Outgoing
from stream_app.records.headers import Headers
from stream_app.records.item import Item, Served
from stream_app.records.record_id import RecordId
from stream_app.wire.dead_letter import DeadLetters
from stream_app.wire.feature_row import FeatureLog
from stream_app.wire.outgoing import Emitter, OutgoingRecords
from stream_app.wire.prediction import Predictions
from tests.unit.builders import NOW, batch, failed, item, partition

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
    emitters: list[Emitter] = [Predictions("predictions"), DEAD]
    if feature_log is not None:
        emitters.append(feature_log)
    OutgoingRecords(emitters)(one)
    return one.outgoing


def test_a_prediction() -> None:
    """Its value is event, state and model; its key is the event's."""
    (prediction,) = outgoing(served())
    assert (prediction.topic, prediction.key) == ("predictions", b"shop")
    assert json.loads(prediction.value or b"") == {
        "prediction_id": "orders-id-2-7",
        "event_id": "e7",
        "event_time": "2013-12-01T12:00:00Z",
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


def test_a_replayed_record_keeps_the_id_of_its_first_origin() -> None:
    """Replayed twice it yields one id; the headers tell where this copy of it lies."""
    replayed = served(9)
    replayed.first_origin = RecordId("first-topic-id", 3, 41)
    (prediction,) = outgoing(replayed)
    assert ("prediction-id", b"first-topic-id-3-41") in prediction.headers
    assert ("source-offset", b"9") in prediction.headers
    assert json.loads(prediction.value or b"")["prediction_id"] == "first-topic-id-3-41"


class Scored(Prediction):
    """A contract with a number that must be one, and one that may be absent."""

    score: float
    margin: float | None = None


def answer(**fields: Any) -> Item:
    """An item whose answer has these fields."""
    return served(8, Served(fields, "m", "1", "champion", None))


UNENCODABLE: dict[str, tuple[Any, str]] = {
    "a numpy scalar": (np.float32(0.5), "numpy.float32"),
    "bytes that are not UTF-8": (b"\xff", "builtins.bytes"),
    "a lone surrogate": ("\udc80", "builtins.str"),
    "a list of what is not JSON": ([object()], "builtins.list"),
    "an object": (object(), "builtins.object"),
}


@pytest.mark.parametrize("value", UNENCODABLE)
def test_an_answer_that_is_not_json_is_one_dead_letter(value: str) -> None:
    """Its neighbours pass; the letter names field, type and exception, and not the value."""
    given, kind = UNENCODABLE[value]
    bad = answer(score=0.5, label=given)
    records = outgoing(served(7), bad, served(9))
    assert [each.topic for each in records] == ["predictions", "dead", "predictions"]
    assert bad.failure is not None
    assert (bad.failure.stage, bad.failure.reason) == ("publish", "unencodable-answer")
    assert (bad.failure.disposition, bad.failure.field) == ("bug", "label")
    for word in ("`fields`", "label", kind, "Error"):
        assert word in bad.failure.message
    assert ("dead-letter.state", b"applied") in records[1].headers


@pytest.mark.parametrize("fields", [None, 5, ["score"]])
def test_an_answer_that_is_no_mapping_is_one_dead_letter(fields: Any) -> None:
    """Whatever `fields` of the use case returned."""
    bad = served(8, Served(fields, "m", "1", "champion", None))
    assert [each.topic for each in outgoing(served(7), bad)] == ["predictions", "dead"]
    assert bad.failure is not None
    assert "TypeError" in bad.failure.message


def test_an_event_id_that_is_not_text_is_one_dead_letter() -> None:
    """A decoder of the use case's own may give anything."""
    bad = served(8)
    bad.event.event_id = "\udcff"
    assert [each.topic for each in outgoing(bad, served(9))] == ["dead", "predictions"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_is_null_where_the_contract_allows_it(value: float) -> None:
    """Elsewhere the answer would break its contract, so that it is a dead letter."""
    one = batch(1, [answer(score=0.5, margin=value), answer(score=value)])
    OutgoingRecords([Predictions("predictions", Scored), DEAD])(one)
    allowed, refused = one.outgoing
    assert json.loads(allowed.value or b"")["margin"] is None
    assert refused.topic == "dead"
    failure = one.items[1].failure
    assert failure is not None
    assert (failure.reason, failure.field) == ("unencodable-answer", "score")


def test_text_that_only_looks_like_a_number_that_is_not_finite_is_passed_on() -> None:
    """NaN is a surname, too."""
    one = batch(1, [answer(score=0.5, label="NaN Infinity")])
    OutgoingRecords([Predictions("predictions"), DEAD])(one)
    assert json.loads(one.outgoing[0].value or b"")["label"] == "NaN Infinity"


def test_a_feature_row_that_is_not_json_is_dropped_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The prediction goes out, and its neighbours' rows as well."""
    good, bad = served(7), served(8)
    good.row, bad.row = ["north"], ["\udc80"]
    records = outgoing(bad, good, feature_log=FeatureLog("rows", 1.0, ["area"]))
    assert [each.topic for each in records] == ["predictions", "predictions", "rows"]
    assert "orders[2] offset 8" in caplog.text
    assert "area" in caplog.text
