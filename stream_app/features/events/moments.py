"""Moments on the wire, and as seconds since the epoch in Python."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final, LiteralString

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from stream_app.compiled import compiled_module

__all__ = [
    "MOMENT_CHARACTERS",
    "MOMENT_MESSAGES",
    "EpochMilliseconds",
    "EpochSeconds",
    "Moment",
    "is_moment",
    "milliseconds_to_seconds",
    "moment_to_seconds",
    "seconds_in_python",
    "seconds_of",
]

MOMENT_CHARACTERS: Final = 64
"""Most that a moment has: thirty with nanoseconds. A fraction of a megabyte of digits is valid too,
and would be kept by the cache."""

_NOT_A_MOMENT: Final = ("datetime_moment", "Input should be a moment of RFC 3339 with an offset")
_NAIVE: Final = (
    "datetime_naive", "Input should be a datetime with an offset: this one has no time zone",
)  # fmt: skip
MOMENT_MESSAGES: Final = frozenset({_NOT_A_MOMENT[1], _NAIVE[1]})
"""What is said of a value that is no moment; it quotes nothing."""
_GRAMMAR: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
).fullmatch


def _refusal(kind: tuple[LiteralString, LiteralString]) -> PydanticCustomError:
    """A new one each time: an exception that is raised again keeps the frames of all times before."""
    return PydanticCustomError(*kind)


# Times of a stream repeat: many events fall into the same instant of their clock.
@lru_cache(maxsize=4_096)
def seconds_in_python(text: str) -> float:
    """Seconds since the epoch; raises `ValueError` for what is no moment of RFC 3339."""
    # pydantic's own parser takes bare numbers, padded digits and dates, and its zones make
    # `timestamp` slow; the standard library's takes forms that RFC 3339 has not.
    if _GRAMMAR(text) is None:
        raise _refusal(_NOT_A_MOMENT)
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return _rare_seconds(text)


def _rare_seconds(text: str) -> float:
    """Seconds of a moment that the standard library refuses: lower case, or a leap second."""
    is_leap = text[17:19] == "60"
    try:
        moment = datetime.fromisoformat((f"{text[:17]}59{text[19:]}" if is_leap else text).upper())
        if not is_leap:
            return moment.timestamp()
        after = moment.astimezone(UTC) + timedelta(seconds=1)
    except (ValueError, OverflowError):
        raise _refusal(_NOT_A_MOMENT) from None
    # Leap seconds are inserted at the end of a month of UTC and nowhere else.
    if (after.day, after.hour, after.minute, after.second) != (1, 0, 0, 0):
        raise _refusal(_NOT_A_MOMENT)
    return after.timestamp()


_compiled: Final = compiled_module("moments")
#: Seconds since the epoch of a text of `MOMENT_CHARACTERS` at most; raises `ValueError`.
moment_to_seconds: Final[Callable[[str], float]] = (
    seconds_in_python if _compiled is None else _compiled.seconds_or(seconds_in_python)
)


def milliseconds_to_seconds(milliseconds: float) -> float:
    """What a field declared `EpochMilliseconds` holds."""
    return milliseconds / 1_000.0


def seconds_of(text: str) -> float:
    """Seconds since the epoch of a moment of RFC 3339; raises `ValueError` for any other text."""
    if len(text) > MOMENT_CHARACTERS:
        raise _refusal(_NOT_A_MOMENT)
    return moment_to_seconds(text)


def _seconds_of_datetime(moment: datetime) -> float:
    if moment.tzinfo is None:
        raise _refusal(_NAIVE)
    return moment.timestamp()


class _Moment:
    """How a field of a time is validated; an instance marks the field as a time."""

    def __init__(self, json_schema: JsonSchemaValue) -> None:
        self._json_schema = json_schema

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.no_info_after_validator_function(
            moment_to_seconds,
            core_schema.chain_schema(
                [
                    core_schema.str_schema(strict=True),
                    core_schema.custom_error_schema(
                        core_schema.str_schema(max_length=MOMENT_CHARACTERS),
                        _NOT_A_MOMENT[0],
                        custom_error_message=_NOT_A_MOMENT[1],
                    ),
                ]
            ),
        )
        moment = core_schema.no_info_after_validator_function(
            _seconds_of_datetime, core_schema.is_instance_schema(datetime)
        )
        in_python = core_schema.tagged_union_schema(
            {"datetime": moment, "text": text},
            lambda value: "datetime" if isinstance(value, datetime) else "text",
        )
        return core_schema.json_or_python_schema(text, in_python)

    def __get_pydantic_json_schema__(
        self, _: CoreSchema, __: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return dict(self._json_schema)


class _Epoch(_Moment):
    """A time that is a number on the wire."""

    def __init__(self, unit: str, to_seconds: Callable[[float], float] | None = None) -> None:
        super().__init__({"type": "number", "description": f"{unit} since the epoch."})
        self._to_seconds = to_seconds

    def __get_pydantic_core_schema__(self, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        number = core_schema.float_schema(strict=True, allow_inf_nan=False)
        if self._to_seconds is None:
            return number
        return core_schema.no_info_after_validator_function(self._to_seconds, number)


#: A moment. On the wire it is a text of RFC 3339 with an offset, in Python it is a float: seconds since
#: the epoch. The grammar is that of RFC 3339, section 5.6, with these decisions:
#:
#: - Date and time are joined by `T`, `t` or one space; the offset is `Z`, `z` or `+hh:mm`, `-hh:mm`.
#:   There must be one: naive times are refused, and so are offsets with seconds (`+01:00:30`).
#: - `-00:00` is read as UTC. A fraction has any number of digits after a point, never a comma; what is
#:   finer than a microsecond is cut off. The whole text has 64 characters at most.
#: - A leap second (`:60`) is allowed where it can be, in the last second of a month of UTC, and is read
#:   as the second after it, as POSIX clocks do. Years reach from 0001 to 9999; the hour is never 24.
#: - Numbers are refused: a number does not say whether it means seconds. See `EpochSeconds`.
#:
#: In Python, where Avro or a decoder of one's own gives one, a `datetime` with a time zone is taken too.
Moment = Annotated[float, _Moment({"type": "string", "format": "date-time"})]

#: A moment that is a number on the wire, in seconds since the epoch; in Python the same number.
EpochSeconds = Annotated[float, _Epoch("Seconds")]

#: A moment that is a number on the wire, in milliseconds since the epoch; in Python it is in seconds.
EpochMilliseconds = Annotated[float, _Epoch("Milliseconds", milliseconds_to_seconds)]


def is_moment(metadata: object) -> bool:
    """Whether this stands in the metadata of a field that holds a time."""
    return isinstance(metadata, _Moment)
