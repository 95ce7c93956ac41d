"""`python -m tests.fuzz.fast_json --records 1000000`: valid events the short way are those of pydantic.

Values are made of valid ones by what breaks JSON, texts, numbers and fields. Of each, both ways give the
same: the same refusal, or an event of the same class with the same values of the same types, in the same
order, and the same fields set.

The values are drawn in blocks, each with a generator of its own: what is tried depends on --seed and
--records, not on how many processes try it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from random import Random
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import Field

from features.flights.events import Arrived, Boarding, Departed, WeatherObserved
from stream_app.features.events import (
    EpochMilliseconds,
    EpochSeconds,
    Event,
    InvalidEventError,
    JsonDecoder,
    LogRecord,
    Moment,
)

__all__ = ["DECODERS", "check", "outcome", "value"]

_T = TypeVar("_T")

_BLOCK: Final = 20_000
"""Values of one generator, so that processes share the work out evenly."""


class Every(Event, id_from="number", time_from="at"):
    """A field of every type that a struct stands for, with defaults and bounds of every kind."""

    number: int
    at: EpochMilliseconds
    kind: Literal["a", "ä", "\U0001f600"]
    small: Annotated[int, Field(gt=-3, lt=300)]
    large: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] = 7
    real: float
    share: Annotated[float, Field(ge=0, lt=1)] | None = None
    flag: bool
    said: bool | None = None
    text: str
    short: Annotated[str, Field(max_length=2)] = "é"
    long: Annotated[str | None, Field(min_length=2)] = None
    since: EpochSeconds = 0.5
    until: Moment | None = None


class Opened(Event):
    """The one of a union."""

    kind: Literal["opened"]
    amount: float = 1.0


class Closed(Event):
    """The other."""

    kind: Literal["closed"]
    note: str | None


DECODERS = [
    JsonDecoder(Boarding), JsonDecoder(Departed), JsonDecoder(Arrived), JsonDecoder(WeatherObserved),
    JsonDecoder(Every), JsonDecoder(Opened | Closed),
]  # fmt: skip

_NOON = "2013-12-01T12:00:00Z"
_FLIGHT = {
    "event_id": "f/1", "event_time": _NOON, "flight_id": "20131201-UA1545-EWR", "carrier": "UA",
    "flight_number": 1545, "tail_number": "N1", "origin": "EWR", "destination": "IAH",
    "scheduled_departure": "2013-12-01T13:00:00.25-05:00",
}  # fmt: skip
_DELAY = {"departure_delay_minutes": -4.0}
_VALID: list[list[dict[str, Any]]] = [
    [_FLIGHT | {"event": "boarding", "scheduled_elapsed_minutes": 227, "distance_miles": 1400.0}],
    [_FLIGHT | {"event": "departed", "departure_delay_minutes": -4.0}],
    [_FLIGHT | {"event": "arrived", "arrival_delay_minutes": 1e2, "tail_number": None}],
    [
        {"event_id": "w", "event_time": _NOON, "event": "weather-observed", "origin": "JFK"}
        | {
            name: None if name.endswith("mph") else 20.5
            for name in WeatherObserved.model_fields
            if "_" in name and not name.startswith("event")
        }
        | {"pressure_millibars": 1000}
    ],
    [
        {
            "number": 5, "at": 1385899200000, "kind": "ä", "small": 2, "real": 1e-5, "flag": True,
            "text": "", "large": -9, "share": 0.25, "said": None, "short": "ab", "long": "abc",
            "since": 3, "until": _NOON,
        },
        {"number": 0, "at": 0.5, "kind": "a", "small": -2, "real": 0, "flag": False, "text": "x"},
    ],
    [
        {"event_id": "o", "event_time": _NOON, "kind": "opened"},
        {"event_id": "c", "event_time": _NOON, "kind": "closed", "note": "é\n"},
    ],
]  # fmt: skip

_NUMBERS = [
    "0",
    "-0",
    "-0.0",
    "0.0",
    "5.0",
    "5e0",
    "1E2",
    "1e-400",
    "1e308",
    "1.7976931348623157e308",
    "1.7976931348623159e308",
    "1e400",
    "-1e400",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "4.9e-324",
    "2.4e-324",
    "9007199254740993",
    "9007199254740993.0",
    "0.1",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "1.00000000000000011102230246251565404",
    "1.0000000000000000000000000000000000000001",
    "8.41e21",
    "9007199254740991.4999999999999999999999",
    "00",
    "01",
    "-01",
    "1.",
    ".5",
    "+1",
    "1e",
    "1e+",
    "-",
    "-e1",
    "0x1",
    "1_0",
    "0e0",
    "0E+1",
]
_TEXTS = (
    '""', '"a"', '"ab"', '"abc"', '"\\u00e9"', '"\\ud83d\\ude00"', '"\\ud83d"', '"\\ude00"',
    '"\\ud83d\\u0041"', '"\\u0000"', '"\x00"', '"\x1f"', '"\t"', '"\\t"', '"\x7f"', '"\\x41"', '"\\u12"',
    '"\\uD83D\\uDE00\\uD83D\\uDE00"', '"\U0001f600\U0001f600\U0001f600"', '"\\/"', '"\\"', "'a'",
    '"2013-12-01T12:00:00Z"', '"2016-12-31T23:59:60Z"', '"2013-12-01t12:00:00z"', '"0001-01-01T00:00:00Z"',
    '"2013-12-01"', '"1385899200"', '"2013-12-01T12:00:00\\u005a"', '"2013-12-01T12:00:00,5Z"',
    '"boarding"', '"board\\u0069ng"', '"opened"', '"closed"', '"\\u00e4"', '"a\u0308"', '"N123456789"',
)  # fmt: skip
_OTHERS = [
    "null",
    "true",
    "false",
    "[]",
    "{}",
    "[1]",
    "[null]",
    '{"a":1}',
    "nul",
    "tru",
    "True",
    "None",
    "undefined",
    '"5"',
    '"true"',
    "-",
]
_SPACES = (
    "",
    "",
    " ",
    "\n",
    "\t",
    "\r",
    "\r\n ",
    "\x0b",
    "\x0c",
    "\u00a0",
    "\ufeff",
    "\x00",
    "/**/",
)


#: Each valid value as the texts of its fields, with other letters than ASCII as they are, and escaped.
_WRITTEN = [
    [
        [
            {k: json.dumps(v, ensure_ascii=escaped) for k, v in each.items()}
            for escaped in (False, True)
        ]
        for each in valid
    ]
    for valid in _VALID
]


def _one_of(rng: Random, many: Sequence[_T]) -> _T:
    """As `Random.choice`, at a third of its price: most of the harness is drawing."""
    return many[int(rng.random() * len(many))]


def value(rng: Random, which: int) -> bytes:
    """A value for one of `DECODERS`: valid, or spoiled once or a few times."""
    fields = dict(_one_of(rng, _one_of(rng, _WRITTEN[which])))
    for _ in range(_one_of(rng, (0, 1, 1, 1, 2, 4))):
        name = _one_of(rng, [*fields])
        if rng.random() < 0.9:
            fields[name] = _some_value(rng, fields)
        else:
            del fields[name]
            fields = fields or {"x": "1"}
    pairs = [(f'"{name}"', each) for name, each in fields.items()]
    if rng.random() < 0.15:
        pairs.insert(
            rng.randrange(len(pairs) + 1), (_one_of(rng, pairs)[0], _some_value(rng, fields))
        )
    if rng.random() < 0.1:
        pairs.insert(rng.randrange(len(pairs) + 1), (_odd_name(rng, pairs), _one_of(rng, _OTHERS)))
    if rng.random() < 0.3:
        rng.shuffle(pairs)
    return _bytes_of(rng, _with_spaces(rng, pairs))


def _with_spaces(rng: Random, pairs: list[tuple[str, str]]) -> str:
    """The object, with what may stand between its parts, and now and then what may not."""
    drawn = rng.random()
    if drawn < 0.194:
        return "{" + ",".join(f"{name}:{each}" for name, each in pairs) + "}"
    if drawn < 0.97:
        space: Callable[[], str] = lambda: _one_of(rng, _SPACES[:7])  # noqa: E731
    else:
        space = lambda: _one_of(rng, _SPACES) if rng.random() < 0.1 else ""  # noqa: E731
    inner = ",".join(f"{space()}{name}{space()}:{space()}{each}{space()}" for name, each in pairs)
    return f"{space()}{{{inner}}}{space()}"


def _some_value(rng: Random, fields: dict[str, str]) -> str:
    drawn = rng.random()
    if drawn < 0.3:
        return _one_of(rng, _NUMBERS)
    if drawn < 0.6:
        return _one_of(rng, _TEXTS)
    if drawn < 0.7:
        return _one_of(rng, _OTHERS)
    if drawn < 0.8:
        return _one_of(rng, [*fields.values()])
    if drawn < 0.87:
        (found,) = struct.unpack("<d", rng.randbytes(8))
        return repr(found)
    if drawn < 0.94:
        digits = "".join(_one_of(rng, "0123456789") for _ in range(rng.randrange(1, 45)))
        at = rng.randrange(len(digits) + 1)
        exponent = _one_of(rng, ("", "", f"e{rng.randrange(-330, 310)}"))
        return f"{_one_of(rng, ('', '-'))}{digits[:at] or '0'}.{digits[at:] or '0'}{exponent}"
    return json.dumps(
        "".join(_one_of(rng, "aé\U0001f600\u0301 ") for _ in range(rng.randrange(140)))
    )


def _odd_name(rng: Random, pairs: list[tuple[str, str]]) -> str:
    name = _one_of(rng, pairs)[0]
    return _one_of(
        rng,
        (
            '"unknown"',
            '""',
            name[:2] + "\\u005f" + name[3:],
            name.upper(),
            name[:-1] + ' "',
            "1",
            '"\\ud800"',
        ),
    )


def _bytes_of(rng: Random, text: str) -> bytes:
    found = bytearray(text.encode("utf-8", "surrogatepass"))
    drawn = rng.random()
    if drawn < 0.12:
        for _ in range(_one_of(rng, (1, 1, 2))):
            at = rng.randrange(len(found) + 1)
            found[at : at + rng.randrange(2)] = _one_of(rng,
                (b"", b'"', b",", b"}", b"{", b"\\", b"\x00", b"\xff", b"\xc3", b"\xc0\x80", b"\xed\xa0\x80",
                 b"\xf4\x90\x80\x80", b"\xe2\x82", b"9", b"-", b".", b"\xef\xbb\xbf", b"\x1f", bytes([rng.randrange(256)]))
            )  # fmt: skip
    elif drawn < 0.14:
        del found[rng.randrange(len(found)) :]
    elif drawn < 0.15:
        found += _one_of(rng, (b"}", b"{}", b" x", b"\x00", b"\n\n", b"null"))
    elif drawn < 0.16:
        found[:0] = _one_of(
            rng, (b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"[", b"\x00\x00\x00\x00\x01")
        )
    return bytes(found)


def outcome(decoder: JsonDecoder, payload: bytes) -> Any:
    """What comes of a value, all of it: the refusal, or everything that the event holds."""
    try:
        event: Any = decoder(LogRecord(payload))
    except InvalidEventError as error:
        return error.reason, error.field, str(error)
    if event is None:
        return None
    held = [(name, type(each), repr(each)) for name, each in event.__dict__.items()]
    extra = None if event.__pydantic_extra__ is None else [*event.__pydantic_extra__.items()]
    return (
        type(event), held, sorted(event.__pydantic_fields_set__), repr(extra), event.__pydantic_private__,
        event.event_id, repr(event.event_time),
    )  # fmt: skip


def by_pydantic(decoder: JsonDecoder) -> JsonDecoder:
    """The same decoder without the short way."""
    other = JsonDecoder.__new__(JsonDecoder)
    other.__dict__.update(decoder.__dict__)
    other._fast = lambda _: None
    return other


def check(count: int, seed: int, processes: int = 1) -> Counter[str]:
    """Hold `count` values against both ways; raises `AssertionError` for the first that differs."""
    blocks = [
        (min(_BLOCK, count - begin), f"{seed}/{block}")
        for block, begin in enumerate(range(0, count, _BLOCK))
    ]
    if processes == 1:
        return sum(itertools.starmap(_check_block, blocks), Counter[str]())
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(_check_block, *zip(*blocks, strict=True)), Counter[str]())


def _check_block(count: int, seed: str) -> Counter[str]:
    assert all(decoder.why_pydantic is None for decoder in DECODERS)
    slow = [by_pydantic(decoder) for decoder in DECODERS]
    rng, outcomes = Random(seed), Counter[str]()
    for _ in range(count):
        which = rng.randrange(len(DECODERS))
        payload = value(rng, which)
        expected = outcome(slow[which], payload)
        found = outcome(DECODERS[which], payload)
        assert found == expected, (
            f"decoder {which} of {payload!r}:\n{found}\nand by pydantic\n{expected}"
        )
        if isinstance(expected[0], str):
            outcomes[expected[0]] += 1
        else:
            outcomes[
                "valid" if DECODERS[which]._fast(payload) else "valid, but left to pydantic"
            ] += 1
    return outcomes


def main() -> None:
    """Look for a difference, and print how the values ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.fast_json", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    began = time.monotonic()
    outcomes = check(given.records, given.seed, given.processes)
    took = time.monotonic() - began
    for name, count in outcomes.most_common():
        print(f"{count:>12,}  {name}")
    print(
        f"{given.records:>12,}  values, each the same both ways, in {took:.0f} s; seed {given.seed}"
    )


if __name__ == "__main__":
    main()
