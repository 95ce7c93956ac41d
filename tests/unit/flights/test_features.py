"""The features are what was known at the time, and nothing later."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any

import pytest

from features.flights import usecase
from features.flights.data.year import known_at
from features.flights.events import Arrived, Boarding, Departed, WeatherObserved
from stream_app.features.engine.replay import replay
from stream_app.features.events import Event

FEATURES = usecase.features
NOON = 1385917200.0  # 1 December, 12:00 in New York


def bits(values: Sequence[Any]) -> tuple[Any, ...]:
    """Values that compare by their bits, NaN included."""
    return tuple(v if isinstance(v, str) else struct.pack("<d", v) for v in values)


#: The moment of a row, and its values by their bits.
Vector = tuple[float, tuple[Any, ...]]


def vectors(log: Sequence[Event]) -> list[Vector]:
    """The feature rows of a log's triggers."""
    rows = replay(FEATURES, log)
    return [(row.event.event_time, bits(row.values)) for row in rows]


def leaks(log: Sequence[Event], whole: Sequence[Vector], until: float) -> bool:
    """Whether a row up to `until` depends on an event that became known later."""
    truncated = vectors([event for event in log if known_at(event) <= until])
    return [v for v in whole if v[0] <= until] != [v for v in truncated if v[0] <= until]


@pytest.fixture(scope="module")
def whole(three_days: list[Event]) -> list[Vector]:
    """Every row of three days."""
    return vectors(three_days)


@pytest.mark.parametrize("hours", [30, 42.5, 60])
def test_truncating_the_log_changes_no_earlier_row(
    three_days: list[Event], whole: list[Vector], hours: float
) -> None:
    """No row at or before a moment depends on what became known after it."""
    until = known_at(three_days[0]) + hours * 3600
    assert sum(at <= until for at, _ in whole) > 500
    assert not leaks(three_days, whole, until)


def test_arrivals_known_at_departure_are_found(three_days: list[Event]) -> None:
    """A log that tells arrivals too early fails the test above: it is able to fail."""
    departures = {e.flight_id: e.event_time for e in three_days if isinstance(e, Departed)}
    moved = sorted(
        three_days,
        key=lambda e: (
            departures.get(e.flight_id, e.event_time) if isinstance(e, Arrived) else known_at(e)
        ),
    )
    assert leaks(moved, vectors(moved), known_at(three_days[0]) + 42.5 * 3600)


def row_of(log: Sequence[Event], boarding: Boarding) -> dict[str, Any]:
    """The columns of a boarding that follows a log."""
    *_, row = replay(FEATURES, [*log, boarding])
    return dict(zip(FEATURES.columns, row.values, strict=True))


def flight(**fields: Any) -> dict[str, Any]:
    """The fields of a flight scheduled an hour after noon, some replaced."""
    return {
        "event_id": "20131201-UA1-EWR/x",
        "flight_id": "20131201-UA1-EWR",
        "carrier": "UA",
        "flight_number": 1,
        "tail_number": "N1",
        "origin": "EWR",
        "destination": "IAH",
        "event_time": NOON,
        "scheduled_departure": NOON + 3600,
    } | fields


def boarding(**fields: Any) -> Boarding:
    """Its boarding event."""
    own = {"event": "boarding", "scheduled_elapsed_minutes": 240.0, "distance_miles": 1400.0}
    return Boarding.model_construct(**flight(**own, **fields))


def departed(**fields: Any) -> Departed:
    """Its departed event."""
    return Departed.model_construct(**flight(event="departed", **fields))


def arrived(**fields: Any) -> Arrived:
    """Its arrived event."""
    return Arrived.model_construct(**flight(event="arrived", **fields))


def test_with_no_history_state_columns_are_missing_or_zero() -> None:
    """The first boarding of all reads nothing but its own row features."""
    row = row_of([], boarding())
    state_columns = [c.name for view in FEATURES.views for c in view.columns]
    for name in state_columns:
        assert row[name] == 0.0 or math.isnan(row[name]), name
    assert row["scheduled_minute_of_day"] == 13 * 60
    assert row["scheduled_day_of_week"] == 6
    assert (row["carrier"], row["origin"], row["destination"]) == ("UA", "EWR", "IAH")
    assert row["route"] == "EWR-IAH"


def test_the_queue_holds_flights_that_are_due_and_have_not_left() -> None:
    """A flight enters the queue when its scheduled departure passes and leaves it as it departs."""
    due = NOON - 30 * 60
    waiting = boarding(event_time=due - 3600, scheduled_departure=due)
    assert row_of([waiting], boarding())["origin_queue_4h"] == 1.0
    left = departed(event_time=NOON - 60, scheduled_departure=due, departure_delay_minutes=29.0)
    assert row_of([waiting, left], boarding())["origin_queue_4h"] == 0.0


def test_a_flight_not_yet_due_is_not_in_the_queue() -> None:
    """A flight that boards but is due later does not count, nor does the one asked about."""
    waiting = boarding(event_time=NOON - 1200, scheduled_departure=NOON + 2400)
    assert row_of([waiting], boarding())["origin_queue_4h"] == 0.0


def test_a_cancelled_flight_leaves_the_queue_after_four_hours() -> None:
    """What never departs expires by itself."""
    due = NOON - 3.9 * 3600
    waiting = boarding(event_time=due - 3600, scheduled_departure=due)
    row = row_of([waiting], boarding())
    assert (row["origin_queue_2h"], row["origin_queue_4h"]) == (0.0, 1.0)
    later = boarding(event_time=NOON + 900, scheduled_departure=NOON + 4500)
    assert row_of([waiting], later)["origin_queue_4h"] == 0.0


def test_delays_are_clipped_but_counted_as_late() -> None:
    """A delay of a day counts as four hours in the mean, and as one late flight."""
    log = [
        departed(event_time=NOON - 60, departure_delay_minutes=1_301.0),
        departed(event_time=NOON - 60, departure_delay_minutes=15.0),
    ]
    row = row_of(log, boarding())
    assert row["origin_departures_mean_delay"] == pytest.approx((240 + 15) / 2)
    assert row["origin_departures_share_late"] == pytest.approx(0.5)
    assert row["origin_departures_count"] == pytest.approx(2.0, rel=0.03)


def test_an_aircraft_without_a_tail_number_has_no_last_leg() -> None:
    """Flights of unknown aircraft do not share a state."""
    log = [
        arrived(tail_number=None, event_time=NOON - 3600, arrival_delay_minutes=40.0),
        departed(tail_number=None, event_time=NOON - 7200, departure_delay_minutes=40.0),
    ]
    row = row_of(log, boarding(tail_number=None))
    for name in ("tail_arrival_delay", "tail_arrival_age", "tail_departure_delay"):
        assert math.isnan(row[name])


def test_the_last_leg_of_an_aircraft_is_read() -> None:
    """Its delay in minutes and its age in seconds."""
    row = row_of([arrived(event_time=NOON - 3600, arrival_delay_minutes=40.0)], boarding())
    assert row["tail_arrival_delay"] == 40.0
    assert row["tail_arrival_age"] == 3600.0


def test_weather_older_than_six_hours_is_missing() -> None:
    """A station that fell silent says nothing."""

    def weather(hours: float) -> WeatherObserved:
        return WeatherObserved.model_construct(
            event_id="w",
            event="weather-observed",
            event_time=NOON - hours * 3600,
            origin="EWR",
            temperature_fahrenheit=30.0,
            dew_point_fahrenheit=20.0,
            relative_humidity_percent=60.0,
            wind_direction_degrees=None,
            wind_speed_mph=10.0,
            wind_gust_mph=None,
            precipitation_inches=0.0,
            pressure_millibars=1010.0,
            visibility_miles=10.0,
        )

    fresh = row_of([weather(2)], boarding())
    assert fresh["origin_wind_speed"] == 10.0
    assert math.isnan(fresh["origin_wind_direction"])
    assert math.isnan(row_of([weather(7)], boarding())["origin_wind_speed"])


def test_every_column_is_documented() -> None:
    """Each has a unit and a sentence."""
    for column in FEATURES.catalogue():
        assert column.unit
        assert column.doc.endswith("."), column.name
