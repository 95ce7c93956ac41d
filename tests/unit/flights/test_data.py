"""The vendored data are the year they say they are."""

from __future__ import annotations

import csv
import io
import lzma
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import features.flights
from features.flights.data.build import FLIGHT_COLUMNS, WEATHER_COLUMNS

DATA = Path(features.flights.__file__).parent / "data"


def read(name: str) -> Iterator[dict[str, str]]:
    """The rows of a vendored file."""
    text = lzma.decompress((DATA / name).read_bytes()).decode()
    return csv.DictReader(io.StringIO(text))


@pytest.fixture(scope="module")
def flights() -> list[dict[str, str]]:
    """The year's flights."""
    return list(read("flights.csv.xz"))


def test_every_flight_of_the_year_is_there(flights: list[dict[str, str]]) -> None:
    """336,776 flights were scheduled, 8,255 cancelled; 1,175 more have no arrival delay."""
    assert tuple(flights[0]) == FLIGHT_COLUMNS
    assert len(flights) == 336_776
    departed = [f for f in flights if f["departure_delay_minutes"]]
    arrived = [f for f in departed if f["arrival_delay_minutes"]]
    assert len(flights) - len(departed) == 8_255
    assert len(departed) - len(arrived) == 1_175
    assert len(flights) + len(departed) + len(arrived) == 992_643
    assert sum(not f["tail_number"] for f in flights) == 2_512


def test_zones_missing_from_the_source_are_puerto_rican(flights: list[dict[str, str]]) -> None:
    """A flight from New York to San Juan takes about four hours, whatever the clocks say."""
    elapsed = Counter(
        round(int(f["scheduled_elapsed_minutes"]) / 60)
        for f in flights
        if f["destination"] in {"BQN", "PSE", "SJU", "STT"}
    )
    assert sum(elapsed.values()) == 896 + 365 + 5_819 + 522
    assert set(elapsed) == {4}


def test_no_flight_takes_longer_or_shorter_than_its_distance(
    flights: list[dict[str, str]],
) -> None:
    """A scheduled elapsed time with a wrong zone or day would be an hour or a day off."""
    off = [
        f
        for f in flights
        if abs(int(f["scheduled_elapsed_minutes"]) - 45 - int(f["distance_miles"]) / 7.5) > 90
    ]
    # One flight to Jacksonville has a schedule an hour and a half too long in the source.
    assert len(off) == 1


def test_the_weather_has_no_impossible_wind() -> None:
    """26,115 hours were observed; the wind of 1,048 mph in the source is left out."""
    weather = list(read("weather.csv.xz"))
    assert tuple(weather[0]) == WEATHER_COLUMNS
    assert len(weather) == 26_115
    winds = [float(hour["wind_speed_mph"]) for hour in weather if hour["wind_speed_mph"]]
    assert len(winds) == 26_115 - 4 - 1
    assert max(winds) < 50


def test_the_vendored_files_are_small() -> None:
    """Both files together take less than 3.5 MiB."""
    assert sum(path.stat().st_size for path in DATA.glob("*.xz")) < 3.5 * 2**20
