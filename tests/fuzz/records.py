"""Records from a seed: valid ones, nearly valid ones and any bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, Final, NamedTuple

from stream_app.features.events import LogRecord
from stream_app.records.headers import Header
from stream_app.wire.replays import REPLAY_HEADERS
from tests.usecases.regression import START, events, topic_of, usecase

__all__ = ["DAMAGE", "record"]

_Value = bytes | None


class _Valid(NamedTuple):
    topic: str
    event: dict[str, Any]

    @property
    def value(self) -> bytes:
        return json.dumps(self.event).encode()


_VALID: Final = [_Valid(topic_of(event, usecase), event) for event in events(300, START)]
_TOPICS: Final = [topic.name for topic in usecase.topics]
_TIMES: Final = (
    "2024-01-01T00:00:00", "2024-01-01", "2024-02-30T00:00:00Z", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999-23:59", "2024-01-01T24:00:00Z", "2016-12-31T23:59:60Z",
    "2024-01-01t00:00:00z", "2024-01-01T00:00:00.0000000000001Z", "-2024-01-01T00:00:00Z", "now",
    "1704067200", "2024-01-01T00:00:00+99:99", "\u0662\u0660\u0662\u0664-01-01T00:00:00Z",
)  # fmt: skip
_NUMBERS: Final = (
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e308", "5e-324", "-0.0", "0e0", "1E+2", "+1",
    "01", ".5", "1.", "0x10", "1_000", "10000.000000000001", "9223372036854775808", "-1", "10080.5",
)  # fmt: skip
_TEXTS: Final = (
    "", " ", "\x00", "\ufeff", "\u202e", "m" * 64, "m" * 65, "é" * 64, "\U0001f600" * 64, "m1\n", "null",
)  # fmt: skip


def record(rng: Random) -> LogRecord:
    """A record of one of the use case's topics; the same state of `rng` gives the same one."""
    valid = rng.choice(_VALID)
    value: _Value = valid.value
    if rng.random() < 0.75:
        value = rng.choice(DAMAGE)(rng, valid)
    topic = valid.topic if rng.random() < 0.97 else rng.choice(_TOPICS)
    return LogRecord(value, _key(rng), _headers(rng), _timestamp(rng), topic)


def _key(rng: Random) -> bytes | None:
    return rng.choice((None, b"", b"m1", b"\xff\xfe", rng.randbytes(20)))


def _headers(rng: Random) -> list[Header]:
    if rng.random() < 0.9:
        return []
    names = ("trace", "", "dead-letter.attempts", "dead-letter.offset", *sorted(REPLAY_HEADERS))
    values = (None, b"", b"1", b"9" * 200, b"\xff", b"applied", b"AAAAAAAAAAAAAAAAAAAAAA-0-1")
    return [(rng.choice(names), rng.choice(values)) for _ in range(rng.randint(1, 4))]


def _timestamp(rng: Random) -> float | None:
    if rng.random() < 0.95:
        return START + rng.randrange(300 * 60)
    return rng.choice((None, 0.0, -0.001, START - 1e9, START + 1e9, 9e12, 0.0005))


def _with(valid: _Valid, field: str, raw: str) -> bytes:
    """The event with a field of this raw JSON, valid or not."""
    rest = json.dumps({name: value for name, value in valid.event.items() if name != field})
    return f"{rest[:-1]}, {json.dumps(field)}: {raw}}}".encode()


def _field(rng: Random, valid: _Valid) -> str:
    return rng.choice(list(valid.event))


def _bytes(rng: Random, _: _Valid) -> _Value:
    return rng.randbytes(rng.choice((0, 1, 5, 6, 50, 300)))


def _nothing(_: Random, __: _Valid) -> _Value:
    return None


def _changed_bytes(rng: Random, valid: _Valid) -> _Value:
    value = bytearray(valid.value)
    for _ in range(rng.randint(1, 3)):
        value[rng.randrange(len(value))] = rng.randrange(256)
    return bytes(value)


def _cut(rng: Random, valid: _Valid) -> _Value:
    return valid.value[: rng.randrange(len(valid.value))]


def _twice(rng: Random, valid: _Valid) -> _Value:
    return valid.value + rng.choice((b"", b"\n", b",", b"\x00")) + valid.value


def _json(rng: Random, depth: int = 0) -> Any:
    kind = rng.randrange(8 if depth < 4 else 6)
    if kind == 6:
        return [_json(rng, depth + 1) for _ in range(rng.randrange(4))]
    if kind == 7:
        return {rng.choice(_TEXTS): _json(rng, depth + 1) for _ in range(rng.randrange(4))}
    return (
        None, rng.random() < 0.5, rng.randint(-(10**20), 10**20), rng.gauss(0.0, 1e6),
        rng.choice(_TEXTS), rng.choice(_TIMES),
    )[kind]  # fmt: skip


def _any_json(rng: Random, _: _Valid) -> _Value:
    return json.dumps(_json(rng)).encode()


def _missing_field(rng: Random, valid: _Valid) -> _Value:
    gone = _field(rng, valid)
    return json.dumps({name: v for name, v in valid.event.items() if name != gone}).encode()


def _other_value(rng: Random, valid: _Valid) -> _Value:
    return _with(valid, _field(rng, valid), json.dumps(_json(rng)))


def _extra_fields(rng: Random, valid: _Valid) -> _Value:
    more = {rng.choice(_TEXTS) + str(number): _json(rng) for number in range(rng.randint(1, 9))}
    return json.dumps(valid.event | more).encode()


def _number(rng: Random, valid: _Valid) -> _Value:
    return _with(valid, _field(rng, valid), rng.choice(_NUMBERS))


def _huge_integer(rng: Random, valid: _Valid) -> _Value:
    digits = rng.choice((19, 20, 309, 400, 4_300, 4_301))
    return _with(valid, _field(rng, valid), "-" * rng.randrange(2) + "9" * digits)


def _time(rng: Random, valid: _Valid) -> _Value:
    return _with(valid, "event_time", json.dumps(rng.choice(_TIMES)))


def _repeated_field(rng: Random, valid: _Valid) -> _Value:
    field = _field(rng, valid)
    again = json.dumps(rng.choice((valid.event[field], _json(rng))))
    return f"{{{json.dumps(field)}: {again}, ".encode() + valid.value[1:]


def _lone_surrogate(rng: Random, valid: _Valid) -> _Value:
    raw = rng.choice(
        ('"\\ud800"', '"m\\udfff1"', '"\\udfff\\ud800"', '"\\ud83d\\ude00"', '"\\ud800x"')
    )
    if rng.random() < 0.2:
        return valid.value[:-1] + b", " + raw.encode() + b": 1}"
    if rng.random() < 0.2:
        return _with(valid, _field(rng, valid), '"x"').replace(b'"x"', b'"\xed\xa0\x80"')
    return _with(valid, _field(rng, valid), raw)


def _other_encoding(rng: Random, valid: _Valid) -> _Value:
    return valid.value.decode().encode(rng.choice(("utf-8-sig", "utf-16", "utf-16-be", "utf-32")))


def _text(rng: Random, valid: _Valid) -> _Value:
    return _with(valid, _field(rng, valid), json.dumps(rng.choice(_TEXTS), ensure_ascii=False))


def _deep(rng: Random, valid: _Valid) -> _Value:
    depth = rng.choice((10, 120, 200, 201, 1_000, 5_000))
    opened, closed = rng.choice((("[", "]"), ('{"a":', "}")))
    raw = opened * depth + "1" + closed * (depth if rng.random() < 0.8 else 0)
    return (
        raw.encode()
        if rng.random() < 0.3
        else _with(valid, rng.choice((_field(rng, valid), "x")), raw)
    )


def _framed(rng: Random, valid: _Valid) -> _Value:
    return b"\x00" + rng.randbytes(4) + valid.value


def _long(rng: Random, valid: _Valid) -> _Value:
    # One in twenty is larger than a worker takes: such a value costs a millisecond to make.
    length = (
        rng.choice((1_000, 5_000)) if rng.random() < 0.95 else rng.choice((1_000_000, 1_100_000))
    )
    return _with(valid, rng.choice((_field(rng, valid), "x" * (length // 2))), f'"{"y" * length}"')


#: What may be wrong with a value, each as likely as the others.
DAMAGE: Final[tuple[Callable[[Random, _Valid], _Value], ...]] = (
    _bytes, _nothing, _changed_bytes, _cut, _twice, _any_json, _missing_field, _other_value, _extra_fields,
    _number, _huge_integer, _time, _repeated_field, _lone_surrogate, _other_encoding, _text, _deep, _framed,
    _long,
)  # fmt: skip
