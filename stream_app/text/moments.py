"""Moments as text: RFC 3339 on the wire, and in sentences for people."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

__all__ = ["in_utc", "rfc3339", "to_microseconds"]

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  naive: isoformat is to write no offset
_DIGITS: Final = 9
_MICROSECONDS: Final = 1_000_000


def in_utc(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339, or as a number where no calendar knows them."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return f"{float(seconds):g} s since 1970"


# Times of a stream repeat: many events fall into the same instant of their clock.
@lru_cache(maxsize=4_096)
def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC, with as many digits as give the same float back.

    Nine digits at most: a hundred days from 1970, no float is finer than that. Raises `ValueError` or
    `OverflowError` for what no calendar knows: NaN, or a year beyond 9999.
    """
    if math.floor(seconds) != seconds:
        seconds = round(float(seconds), _DIGITS)
    whole = math.floor(seconds)
    text = (_EPOCH + timedelta(seconds=whole)).isoformat()
    if whole == seconds:
        return f"{text}Z"
    written = repr(seconds)
    if whole <= 0:  # the fraction counts from the second before, or is written with an exponent
        written = f"{Decimal(written) - whole:f}"
    return f"{text}.{written.partition('.')[2]}Z"


def to_microseconds(seconds: float) -> float:
    """The time that a reader takes from `rfc3339(seconds)` who cuts fractions off after six digits."""
    if math.floor(seconds) == seconds:
        return seconds
    return math.floor(Decimal(repr(round(float(seconds), _DIGITS))) * _MICROSECONDS) / _MICROSECONDS
