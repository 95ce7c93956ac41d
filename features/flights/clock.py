"""Local clocks of airports, from the pinned `tzdata` package and never from the machine's files.

So the same instant gives the same local time on every machine, whatever its TZ says.
"""

from __future__ import annotations

from datetime import date, datetime, time
from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

__all__ = ["day_of_week", "local_date", "local_midnight", "minute_of_day", "zone"]

#: All three origins lie in it.
_ORIGIN_ZONE = "America/New_York"


@cache
def zone(name: str) -> ZoneInfo:
    """The zone of the IANA database with this name, from `tzdata`."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@lru_cache(maxsize=65_536)
def _offset_seconds(hour: int) -> int:
    # Every offset change of this zone since 1918 happened on a full hour of UTC, so an hour has one
    # offset: 8,760 a year, and a bound for what hostile events may name.
    moment = datetime.fromtimestamp(hour * 3600, zone(_ORIGIN_ZONE))
    offset = moment.utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def minute_of_day(moment: float) -> float:
    """Minutes since midnight on the clock at the origin, 0 to 1439; `moment` in epoch seconds."""
    local = moment + _offset_seconds(int(moment // 3600))
    return float(local % 86_400 // 60)


def day_of_week(moment: float) -> float:
    """Day of the week at the origin, Monday is 0; `moment` in seconds since the epoch."""
    local = moment + _offset_seconds(int(moment // 3600))
    # Day 0 of the epoch was a Thursday.
    return float((local // 86_400 + 3) % 7)


def local_date(moment: float) -> date:
    """The date at the origin; `moment` in seconds since the epoch."""
    return datetime.fromtimestamp(moment, zone(_ORIGIN_ZONE)).date()


def local_midnight(day: date) -> float:
    """When a day begins at the origin, in seconds since the epoch."""
    return datetime.combine(day, time(), zone(_ORIGIN_ZONE)).timestamp()
