"""The bytes on the wire: consumers that were written for them must be able to go on reading."""

import math
from typing import Any

from stream_app.records.batch import Outgoing
from stream_app.records.failure import Failure
from stream_app.records.headers import Headers
from stream_app.records.item import Item, Served
from stream_app.records.record_id import RecordId
from stream_app.wire.dead_letter import DeadLetters
from stream_app.wire.feature_row import FeatureLog
from stream_app.wire.outgoing import OutgoingRecords
from stream_app.wire.prediction import Predictions
from tests.unit.builders import NOW, batch, failed, item, partition

P = partition(2)
JSON = ("content-type", b"application/json")
DEAD = DeadLetters("dead", group="g", code_version="1", model_version="m/3", clock=lambda: NOW)


def outgoing(*items: Item) -> list[Outgoing]:
    """What goes out for a batch of items, feature rows included."""
    one = batch(1, items)
    rows = FeatureLog("rows", 1.0, ["a", "b", "c"])
    OutgoingRecords([Predictions("predictions"), DEAD, rows])(one)
    return one.outgoing


def answered(offset: int, served: Served, **options: Any) -> Item:
    """An item that a model answered for."""
    made = item(P, offset, **options)
    made.record.key, made.served, made.row = b"shop", served, [1.5, math.nan, "north"]
    made.newest = NOW - 60.0
    return made


def unscorable() -> Item:
    """An item that no model could answer for, of a record that was a dead letter twice."""
    came: Headers = [("traceparent", b"00-1"), ("dead-letter.attempts", b"2")]
    made = item(P, 9, headers=came)
    made.record.key = b"k"
    made.failure = Failure("score", "unscorable", "no \n answer", None, disposition="bug")
    return made


def test_the_bytes_of_a_prediction_and_its_feature_row() -> None:
    """They are these; headers of the event follow ours, but for those that are named as ours."""
    came: Headers = [
        ("traceparent", b"00-1"), ("none", None), ("source-offset", b"1"),
        ("dead-letter.reason", b"x"),
    ]  # fmt: skip
    served = Served({"score": 0.1 + 0.2, "label": "é"}, "model", "3", "champion", None)
    prediction, row = outgoing(answered(7, served, headers=came))
    assert (prediction.topic, prediction.key) == ("predictions", b"shop")
    assert prediction.value == (
        b'{"prediction_id":"orders-id-2-7","event_id":"e7","event_time":"2013-12-01T12:00:00Z",'
        b'"score":0.30000000000000004,"label":"\xc3\xa9","model":{"name":"model","version":"3"},'
        b'"served_by":"champion","degraded":null,"state_freshness_seconds":60.0}'
    )
    assert prediction.headers == [
        ("prediction-id", b"orders-id-2-7"),
        ("source-topic", b"orders"),
        ("source-partition", b"2"),
        ("source-offset", b"7"),
        JSON,
        ("traceparent", b"00-1"),
        ("none", None),
    ]
    assert (row.topic, row.key, row.headers) == ("rows", b"shop", [JSON])
    assert row.value == (
        b'{"prediction_id":"orders-id-2-7","event_id":"e7",'
        b'"columns":{"a":1.5,"b":null,"c":"north"}}'
    )


def test_the_bytes_of_a_degraded_prediction_of_a_replay_from_a_state_that_was_ahead() -> None:
    """All the headers that a prediction can have, in their order."""
    replayed = answered(8, Served({"score": 0.5}, "static", "1", "static", "model-error"))
    replayed.ahead, replayed.newest = True, -math.inf
    replayed.first_origin = RecordId("-id_with-hyphens-12345", 3, 41)
    prediction, _ = outgoing(replayed)
    assert prediction.value == (
        b'{"prediction_id":"-id_with-hyphens-12345-3-41","event_id":"e8",'
        b'"event_time":"2013-12-01T12:00:00Z","score":0.5,"model":{"name":"static","version":"1"},'
        b'"served_by":"static","degraded":"model-error","state_freshness_seconds":null}'
    )
    assert prediction.headers == [
        ("prediction-id", b"-id_with-hyphens-12345-3-41"),
        ("source-topic", b"orders"),
        ("source-partition", b"2"),
        ("source-offset", b"8"),
        JSON,
        ("state-ahead", b"true"),
        ("replay-of", b"-id_with-hyphens-12345-3-41"),
        ("source-topic-id", b"orders-id"),
    ]


LETTER: Headers = [
    ("dead-letter.topic", b"orders"),
    ("dead-letter.topic-id", b"orders-id"),
    ("dead-letter.partition", b"2"),
    ("dead-letter.offset", b"9"),
    ("dead-letter.timestamp", b"2013-12-01T12:00:00.000+00:00"),
    ("dead-letter.group", b"g"),
    ("dead-letter.stage", b"score"),
    ("dead-letter.reason", b"unscorable"),
    ("dead-letter.message", b"no \\n answer"),
    ("dead-letter.field", b""),
    ("dead-letter.disposition", b"bug"),
    ("dead-letter.attempts", b"3"),
    ("dead-letter.code-version", b"1"),
    ("dead-letter.model-version", b"m/3"),
    ("dead-letter.failed-at", b"2013-12-01T12:00:00.000+00:00"),
    ("dead-letter.state", b"applied"),
]


def test_the_bytes_of_dead_letters() -> None:
    """One of a record that updated the state, one of a record that is no event."""
    scored, decoded = outgoing(unscorable(), failed(P, 10))
    assert (scored.topic, scored.key, scored.value) == ("dead", b"k", bytes(5))
    assert scored.headers == [("traceparent", b"00-1"), *LETTER]
    assert (decoded.topic, decoded.key, decoded.value) == ("dead", None, bytes(5))
    assert decoded.headers == [
        ("dead-letter.topic", b"orders"),
        ("dead-letter.topic-id", b"orders-id"),
        ("dead-letter.partition", b"2"),
        ("dead-letter.offset", b"10"),
        ("dead-letter.timestamp", b"2013-12-01T12:00:00.000+00:00"),
        ("dead-letter.group", b"g"),
        ("dead-letter.stage", b"decode"),
        ("dead-letter.reason", b"tombstone"),
        ("dead-letter.message", b"the record has no value"),
        ("dead-letter.field", b"amount"),
        ("dead-letter.disposition", b"poison"),
        ("dead-letter.attempts", b"1"),
        ("dead-letter.code-version", b"1"),
        ("dead-letter.model-version", b"m/3"),
        ("dead-letter.failed-at", b"2013-12-01T12:00:00.000+00:00"),
        ("dead-letter.state", b"not-applied"),
    ]


def test_the_bytes_of_a_dead_letter_of_which_all_was_left_out() -> None:
    """Length and SHA-256 of headers, key and value, in this order."""
    (letter,) = outgoing(unscorable())
    while (smaller := DEAD.smaller(letter)) is not None:
        letter = smaller
    assert (letter.key, letter.value) == (None, None)
    assert letter.headers == [
        *LETTER,
        ("dead-letter.headers-omitted-bytes", b"17"),
        (
            "dead-letter.headers-omitted-sha256",
            b"319ac0379251f3061bf0e16054346bbffd96ce3e553773ac63a4fce522fa0359",
        ),
        ("dead-letter.key-omitted-bytes", b"1"),
        (
            "dead-letter.key-omitted-sha256",
            b"8254c329a92850f6d539dd376f4816ee2764517da5e0235514af433164480d7a",
        ),
        ("dead-letter.value-omitted-bytes", b"5"),
        (
            "dead-letter.value-omitted-sha256",
            b"8855508aade16ec573d21e6a485dfd0a7624085c1a14b5ecdd6485de0c6839a4",
        ),
    ]
