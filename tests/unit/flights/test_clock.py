"""Local clocks give the same bits on every machine, on both days on which they are changed too."""

from __future__ import annotations

import time
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from features.flights import clock
from features.flights.clock import day_of_week, local_date, local_midnight, minute_of_day


@pytest.mark.parametrize(
    ("utc", "minute", "weekday"),
    [
        ("2013-03-10T06:59:00", 1 * 60 + 59, 6),  # the last minute of winter time
        ("2013-03-10T07:00:00", 3 * 60, 6),  # there is no 2 o'clock
        ("2013-03-11T03:59:00", 23 * 60 + 59, 6),
        ("2013-03-11T04:00:00", 0, 0),
        ("2013-11-03T05:59:00", 1 * 60 + 59, 6),
        ("2013-11-03T06:00:00", 1 * 60, 6),  # 1 o'clock comes again
        ("2013-11-03T06:59:00", 1 * 60 + 59, 6),
        ("2013-11-03T07:00:00", 2 * 60, 6),
        ("2013-11-04T05:00:00", 0, 0),
    ],
)
def test_days_of_the_change(utc: str, minute: int, weekday: int) -> None:
    """Minute and weekday follow New York's clock through both changes of 2013."""
    moment = datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp()
    assert minute_of_day(moment) == minute
    assert day_of_week(moment) == weekday


def test_agrees_with_zoneinfo_all_year() -> None:
    """Every 37 minutes of the year the clock shows what the zone data say."""
    zone = ZoneInfo("America/New_York")
    moment = datetime(2013, 1, 1, tzinfo=UTC)
    while moment.year == 2013:
        local = moment.astimezone(zone)
        seconds = moment.timestamp()
        assert minute_of_day(seconds) == local.hour * 60 + local.minute
        assert day_of_week(seconds) == local.weekday()
        assert local_date(seconds) == local.date()
        moment += timedelta(minutes=37)


@pytest.mark.parametrize("machine", ["UTC", "Asia/Kolkata", "America/Los_Angeles"])
def test_the_machines_zone_does_not_matter(machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bits under any TZ."""
    monkeypatch.setenv("TZ", machine)
    time.tzset()
    try:
        clock.zone.cache_clear()
        clock._offset_seconds.cache_clear()
        assert minute_of_day(1_383_460_200.0) == 90.0
        assert local_midnight(date(2013, 11, 3)) == 1_383_451_200.0
        assert local_midnight(date(2013, 11, 4)) == 1_383_451_200.0 + 25 * 3600
    finally:
        monkeypatch.undo()
        time.tzset()


def test_zone_data_come_from_the_pinned_package(tmp_path: Path) -> None:
    """A machine with other zone files gives the same local time."""
    wrong = tmp_path / "America" / "New_York"
    wrong.parent.mkdir()
    tokyo = files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo")
    wrong.write_bytes(tokyo.read_bytes())
    zoneinfo.reset_tzpath(to=[str(tmp_path)])
    try:
        ZoneInfo.clear_cache()
        clock.zone.cache_clear()
        moment = datetime.fromtimestamp(1_383_460_200.0, clock.zone("America/New_York"))
        assert (moment.hour, moment.minute) == (1, 30)
    finally:
        zoneinfo.reset_tzpath()
        ZoneInfo.clear_cache()
