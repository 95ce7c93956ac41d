"""Moments as text: RFC 3339 on the wire, and in sentences for people."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

__all__ = ["in_utc", "rfc3339", "to_microseconds", "to_the_millisecond"]

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  naive: isoformat is to write no offset
_DIGITS: Final = 9
_COARSE: Final = 100 * 86_400.0
"""From here on floats have fewer digits than that, and `repr` writes no exponent."""
_MICROSECONDS: Final = 1_000_000


def in_utc(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339, or as a number where no calendar knows them."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return f"{float(seconds):g} s since 1970"


def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC, with as many digits as give the same float back.

    Nine digits at most: a hundred days from 1970, no float is finer than that. Raises `ValueError` or
    `OverflowError` for what no calendar knows: NaN, or a year beyond 9999.
    """
    whole = math.floor(seconds)
    if whole == seconds:
        return f"{_second(whole)}Z"
    if seconds > _COARSE:
        return f"{_second(whole)}.{repr(float(seconds)).partition('.')[2]}Z"
    exact = Decimal(repr(round(float(seconds), _DIGITS)))
    whole = math.floor(exact)
    fraction = f"{exact - whole:f}".partition(".")[2].rstrip("0")
    return f"{_second(whole)}.{fraction}Z" if fraction else f"{_second(whole)}Z"


def to_the_millisecond(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC with three digits, or as a number where no calendar knows
    them.

    As `datetime.isoformat` cuts them: to a microsecond it is rounded first.
    """
    try:
        fraction, whole = math.modf(seconds)
        microseconds = round(fraction * _MICROSECONDS)
        if not 0 <= microseconds < _MICROSECONDS:
            carried, microseconds = divmod(microseconds, _MICROSECONDS)
            whole += carried
        return f"{_second(int(whole))}.{microseconds // 1_000:03d}+00:00"
    except (ValueError, OverflowError):
        return f"{seconds:.3f}"


# Many events fall into the same second.
@lru_cache(maxsize=4_096)
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()


def to_microseconds(seconds: float) -> float:
    """The time that a reader takes from `rfc3339(seconds)` who cuts fractions off after six digits."""
    if math.floor(seconds) == seconds:
        return seconds
    return math.floor(Decimal(repr(round(float(seconds), _DIGITS))) * _MICROSECONDS) / _MICROSECONDS
