"""Malformed records of many kinds, each with the reason it must be refused for.

Made from valid values, by a seeded generator, for the demo's producer and for tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Final

__all__ = ["KINDS", "malformed"]

#: The default of the setting `max_value_bytes`.
_MAX_VALUE_BYTES: Final = 1 << 20

#: The fields of each event type by what may be done to them.
_DELAYS: Final = {
    "departed": ("departure_delay_minutes",),
    "arrived": ("arrival_delay_minutes",),
    "boarding": ("scheduled_elapsed_minutes", "distance_miles"),
    "weather-observed": ("wind_speed_mph", "temperature_fahrenheit", "visibility_miles"),
}
_TYPES: Final = tuple(_DELAYS)


def malformed(
    rng: Random, valid_value: bytes, kind: str, max_value_bytes: int = _MAX_VALUE_BYTES
) -> tuple[bytes | None, str]:
    """Spoil a valid value: returns the malformed one and the reason code expected for it.

    `kind` is one of `KINDS`; `valid_value` a record of one of the demo's topics, which the
    malformed one is meant for as well. Raises `KeyError` for an unknown kind.
    """
    if kind == "oversized":
        # A little more than allowed: a valid event but for its size.
        padding = max_value_bytes - len(valid_value) + rng.randint(1, 64)
        return valid_value + b" " * max(padding, 1), "value-too-large"
    spoil, reason = _SPOILERS[kind]
    return spoil(rng, valid_value), reason


def _with(value: bytes, field: str, raw: str) -> bytes:
    """The value with one field replaced by raw JSON."""
    event = json.loads(value)
    event[field] = "@"
    return json.dumps(event, separators=(",", ":")).replace('"@"', raw, 1).encode()


def _number_field(rng: Random, value: bytes) -> str:
    return rng.choice(_DELAYS[json.loads(value)["event"]])


def _some_field(rng: Random, value: bytes) -> str:
    # Every field but the one that names the type, and those that may be null.
    fields: list[str] = [*json.loads(value)]
    return rng.choice([f for f in fields if f not in {"event", "tail_number"}])


def _tombstone(_rng: Random, _value: bytes) -> None:
    return None


def _empty(_rng: Random, _value: bytes) -> bytes:
    return b""


def _truncated(rng: Random, value: bytes) -> bytes:
    return value[: rng.randint(1, len(value) - 1)]


def _invalid_utf8(rng: Random, value: bytes) -> bytes:
    # In the middle of a word of ASCII, where neither half of a character may stand.
    at = rng.randint(1, len(value) - 1)
    return value[:at] + rng.choice((b"\xff", b"\xc3\x28", b"\xe2\x82", b"\x80")) + value[at:]


def _not_json(rng: Random, value: bytes) -> bytes:
    return rng.choice((b"hello", b"<event/>", value.replace(b'"', b"'"), value + value, b"  "))


def _nesting_bomb(rng: Random, _value: bytes) -> bytes:
    depth = rng.randint(1_000, 20_000)
    return rng.choice((b"[" * depth, b'{"a":' * depth, b"[" * depth + b"]" * depth))


def _not_an_object(rng: Random, value: bytes) -> bytes:
    return rng.choice((b"null", b"[]", b"[" + value + b"]", b"42", b'"event"', b"true"))


def _missing_field(rng: Random, value: bytes) -> bytes:
    event = json.loads(value)
    del event[rng.choice([*event])]
    return json.dumps(event).encode()


def _wrong_type(rng: Random, value: bytes) -> bytes:
    return _with(value, _some_field(rng, value), rng.choice(("{}", "[1]", "true")))


def _wrong_topic(rng: Random, value: bytes) -> bytes:
    # The event of another type keeps its fields: the contract must look at the type first.
    own = json.loads(value)["event"]
    other = rng.choice([kind for kind in _TYPES if kind != own])
    return _with(value, "event", json.dumps(other))


def _not_finite(rng: Random, value: bytes) -> bytes:
    number = rng.choice(("NaN", "Infinity", "-Infinity", "1e400", "-1e400"))
    return _with(value, _number_field(rng, value), number)


def _huge_integer(rng: Random, value: bytes) -> bytes:
    # Beyond 64 bits, yet small enough to be finite as a float.
    digits = rng.randint(20, 300)
    return _with(value, _number_field(rng, value), "9" * digits)


def _too_many_digits(rng: Random, value: bytes) -> bytes:
    # Converting a decimal string costs the square of its length: the parser refuses to.
    return _with(value, _number_field(rng, value), "9" * rng.randint(5_000, 10_000))


def _out_of_range(rng: Random, value: bytes) -> bytes:
    number = rng.choice((-1.0, 1.0)) * rng.uniform(20_000.0, 1e9)
    return _with(value, _number_field(rng, value), repr(number))


def _too_long(rng: Random, value: bytes) -> bytes:
    field = rng.choice(("event_id", "origin"))
    return _with(value, field, json.dumps("X" * rng.randint(200, 2_000)))


def _naive_time(rng: Random, value: bytes) -> bytes:
    time = json.loads(value)["event_time"].removesuffix("Z")
    return _with(value, "event_time", json.dumps(time + rng.choice(("", ".5", ".000000"))))


def _not_a_time(rng: Random, value: bytes) -> bytes:
    wrong = (
        "2013-02-30T10:15:00Z",
        "2013-12-01T25:15:00Z",
        "01.12.2013 10:15:00 UTC",
        "13858929001385892900",
        "yesterday, shortly before ten",
        "",
    )
    return _with(value, "event_time", json.dumps(rng.choice(wrong)))


def _distant_time(rng: Random, value: bytes) -> bytes:
    # A valid event to the contract; believed, it would let every state decay to nothing.
    year = rng.choice(("2099", "2038", "1970", "9999"))
    return _with(value, "event_time", json.dumps(f"{year}-06-01T12:00:00Z"))


_Spoiler = Callable[[Random, bytes], bytes | None]

_SPOILERS: Final[dict[str, tuple[_Spoiler, str]]] = {
    "tombstone": (_tombstone, "tombstone"),
    "empty": (_empty, "empty-value"),
    "truncated": (_truncated, "invalid-json"),
    "not-json": (_not_json, "invalid-json"),
    "invalid-utf8": (_invalid_utf8, "invalid-utf8"),
    "nesting-bomb": (_nesting_bomb, "nesting-too-deep"),
    "not-an-object": (_not_an_object, "not-an-object"),
    "missing-field": (_missing_field, "missing-field"),
    "wrong-type": (_wrong_type, "wrong-type"),
    "wrong-topic": (_wrong_topic, "wrong-event-type"),
    "not-finite": (_not_finite, "not-finite"),
    "huge-integer": (_huge_integer, "out-of-range"),
    "too-many-digits": (_too_many_digits, "invalid-json"),
    "out-of-range": (_out_of_range, "out-of-range"),
    "too-long": (_too_long, "out-of-range"),
    "naive-time": (_naive_time, "bad-time"),
    "not-a-time": (_not_a_time, "bad-time"),
    "distant-time": (_distant_time, "time-out-of-range"),
}

#: Every kind of malformed record.
KINDS: Final = (*_SPOILERS, "oversized")
