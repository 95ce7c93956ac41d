"""Malformed records between valid ones: each becomes a dead letter, and its neighbours pass."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from stream_app.wire.dead_letter import headers_that_came
from tests.integration.testbed import Testbed
from tests.integration.worker import Sent, by_source

MAX_BYTES = 20_000

NOW = datetime.now(UTC)

REQUEST: dict[str, Any] = {
    "event_id": "r",
    "event_time": NOW.isoformat(),
    "meter": "m1",
    "area": "a1",
    "minutes_ahead": 30,
    "celsius": 1.5,
}
READING: dict[str, Any] = {
    "event_id": "x",
    "event_time": NOW.isoformat(),
    "meter": "m1",
    "area": "a1",
    "kilowatts": 2.5,
}


def but(event: dict[str, Any], **changes: Any) -> bytes:
    """The event with fields replaced; None as a value stays None."""
    return json.dumps(event | changes).encode()


def without(name: str) -> bytes:
    """The request without a field."""
    return json.dumps({k: v for k, v in REQUEST.items() if k != name}).encode()


#: What is wrong: the value, then the reason and the field of its dead letter.
REQUESTS: dict[str, tuple[bytes | None, str, str]] = {
    "a tombstone": (None, "tombstone", ""),
    "no bytes": (b"", "empty-value", ""),
    "too large": (but(REQUEST, area="x" * MAX_BYTES), "value-too-large", ""),
    "not UTF-8": (b'{"event_id": "\xff\xfe"}', "invalid-utf8", ""),
    "random bytes": (bytes(range(128, 256)), "invalid-utf8", ""),
    "not JSON": (b"meter=m1;celsius=1", "invalid-json", ""),
    "cut short": (but(REQUEST)[:-9], "invalid-json", ""),
    "two documents": (but(REQUEST) * 2, "invalid-json", ""),
    "a nesting bomb": (b"[" * 9_000 + b"]" * 9_000, "nesting-too-deep", ""),
    "null": (b"null", "not-an-object", ""),
    "a list": (b"[" + but(REQUEST) + b"]", "not-an-object", ""),
    "a string": (b'"hello"', "not-an-object", ""),
    "a number": (b"42", "not-an-object", ""),
    "an empty object": (b"{}", "missing-field", "event_id"),
    "no meter": (without("meter"), "missing-field", "meter"),
    "no event id": (without("event_id"), "missing-field", "event_id"),
    "meter null": (but(REQUEST, meter=None), "wrong-type", "meter"),
    "meter empty": (but(REQUEST, meter=""), "out-of-range", "meter"),
    "meter too long": (but(REQUEST, meter="m" * 65), "out-of-range", "meter"),
    "a number as a string": (but(REQUEST, celsius="1.5"), "wrong-type", "celsius"),
    "a float for an integer": (but(REQUEST, minutes_ahead=1.5), "wrong-type", "minutes_ahead"),
    "a boolean for a number": (but(REQUEST, celsius=True), "wrong-type", "celsius"),
    "NaN": (but(REQUEST, celsius=float("nan")), "not-finite", "celsius"),
    "infinity": (but(REQUEST, celsius=float("-inf")), "not-finite", "celsius"),
    "a huge float": (but(REQUEST).replace(b"1.5", b"1e999"), "not-finite", "celsius"),
    "a huge integer": (but(REQUEST, minutes_ahead=10**40), "out-of-range", "minutes_ahead"),
    "too cold": (but(REQUEST, celsius=-300.0), "out-of-range", "celsius"),
    "a naive time": (but(REQUEST, event_time="2024-01-01T00:00:00"), "bad-time", "event_time"),
    "no time": (but(REQUEST, event_time="yesterday"), "bad-time", "event_time"),
    "time as seconds": (but(REQUEST, event_time=1.7e9), "wrong-type", "event_time"),
    "the year 2099": (
        but(REQUEST, event_time="2099-01-01T00:00:00Z"), "time-out-of-range", "event_time",
    ),
    "the year 1970": (
        but(REQUEST, event_time="1970-01-01T00:00:00Z"), "time-out-of-range", "event_time",
    ),
    "a reading": (but(READING), "missing-field", "minutes_ahead"),
}  # fmt: skip

#: For readings, the topic that only updates.
READINGS: dict[str, tuple[bytes | None, str, str]] = {
    "the year 2099, before it erases a state": (
        but(READING, event_time=(NOW + timedelta(days=30_000)).isoformat()),
        "time-out-of-range",
        "event_time",
    ),
    "a negative load": (but(READING, kilowatts=-1.0), "out-of-range", "kilowatts"),
    "a request": (but(REQUEST), "missing-field", "kilowatts"),
}


def test_each_becomes_a_dead_letter_and_its_neighbours_pass(meters: Testbed) -> None:
    """With key, value and headers as they came, and headers that say where and why."""
    readings, requests = meters.topics
    begin = time.time() - 30.0
    sent: list[Sent] = []
    malformed: dict[int, tuple[str, str, str]] = {}
    for topic, good, kinds in (
        (requests, REQUEST, REQUESTS),
        (readings, READING, READINGS),
    ):
        for name, (value, reason, field) in kinds.items():
            number = len(sent)
            at = begin + number * 0.01
            sent.append(Sent(topic, but(good, event_id=f"good-{number}"), b"good", timestamp=at))
            malformed[len(sent)] = (name, reason, field)
            key = None if number % 3 == 0 else f"key {number}".encode()
            headers = [("traceparent", b"00-ab-cd-01"), ("twice", b"1"), ("twice", None)]
            sent.append(Sent(topic, value, key, partition=1, timestamp=at, headers=headers))
    places = meters.cluster.produce(sent)

    with meters.worker(max_value_bytes=MAX_BYTES) as worker:
        worker.until("all offsets are committed", meters.drained)
        letters = {
            (out.letter.topic, out.letter.partition, out.letter.offset): out
            for out in meters.dead_letters()
        }
        assert len(letters) == len(malformed)
        for number, (name, reason, field) in malformed.items():
            record, (partition, offset) = sent[number], places[number]
            letter = letters[record.topic, partition, offset]
            told = letter.letter
            assert (told.reason, told.field) == (reason, field), (name, told)
            assert told.stage == "decode", name
            assert told.disposition == "poison", name
            assert told.state == "not-applied", name
            assert told.message, name
            assert told.group == meters.usecase.name
            assert told.attempts == 1
            assert told.model_version == "meters/1"
            assert told.topic_id
            stamp = datetime.fromisoformat(told.timestamp).timestamp()
            assert abs(stamp - (record.timestamp or 0.0)) < 0.002, name
            assert (letter.key, letter.value) == (record.key, record.value), name
            assert headers_that_came(letter.headers) == record.headers, name
        reasons = {reason for _, reason, _ in malformed.values()}
        for reason in reasons:
            count = sum(r == reason for _, r, _ in malformed.values())
            counted = worker.metric("stream_app_dead_letters_total", reason=reason)
            assert counted == count, reason
        assert worker.metric("stream_app_records_total", outcome="dead_lettered") == len(malformed)

    good = {
        (record.topic, *place): record
        for number, (record, place) in enumerate(zip(sent, places, strict=True))
        if number not in malformed and record.topic == requests
    }
    predictions = by_source(meters.predictions())
    assert predictions.keys() == good.keys()
    assert all(len(copies) == 1 for copies in predictions.values())
    meters.check_each_counted_once()
