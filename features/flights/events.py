"""The demo's events: what is told about flights from New York, and when.

Four types, one a topic. `event` names the type, so that a record in another type's topic is
refused. Units stand in the names: minutes, miles, degrees Fahrenheit; times are RFC 3339 with an
offset on the wire and seconds since the epoch in Python.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stream_app import Event, Moment

__all__ = ["Arrived", "Boarding", "Departed", "FlightEvent", "WeatherObserved"]

# Bounds of length, not patterns: a regular expression costs more than the rest of a field.
Airport = Annotated[str, Field(min_length=3, max_length=4)]
Carrier = Annotated[str, Field(min_length=2, max_length=3)]

#: Minutes after the scheduled moment, negative before it. 1,301 is the longest of 2013.
Delay = Annotated[float, Field(ge=-360.0, le=2880.0)]


class FlightEvent(Event):
    """What every event of a flight carries."""

    event: str
    """Names the type; each type allows its own name only. Checked before what follows it, so that
    a record in the wrong topic is told so and not that its fields are missing."""
    flight_id: Annotated[str, Field(min_length=8, max_length=32)]
    """One departure on one day, e.g. ``20131201-UA1545-EWR``: joins what happened to what was
    predicted."""
    carrier: Carrier
    """Code of the airline."""
    flight_number: Annotated[int, Field(ge=1, le=9999)]
    """The airline's number of it."""
    tail_number: Annotated[str | None, Field(min_length=3, max_length=8)]
    """The aircraft's registration; null where it is not known."""
    origin: Airport
    """Code of the airport that it leaves."""
    destination: Airport
    """Code of the airport that it goes to."""
    scheduled_departure: Moment
    """When it is to leave, as the timetable says."""


class Boarding(FlightEvent):
    """A flight is to leave in 60 minutes: `event_time` is its scheduled departure less an hour.

    Asks for a prediction: will it arrive more than 15 minutes late?
    """

    event: Literal["boarding"]
    """Names the type."""
    scheduled_elapsed_minutes: Annotated[float, Field(gt=0.0, le=1440.0)]
    """From scheduled departure to scheduled arrival."""
    distance_miles: Annotated[float, Field(gt=0.0, le=10_000.0)]
    """Between the two airports."""


class Departed(FlightEvent):
    """A flight has left its gate, at `event_time`."""

    event: Literal["departed"]
    """Names the type."""
    departure_delay_minutes: Delay
    """Minutes after the scheduled departure, negative before it."""


class Arrived(FlightEvent):
    """A flight has reached its gate, at `event_time`: the outcome of its prediction."""

    event: Literal["arrived"]
    """Names the type."""
    arrival_delay_minutes: Delay
    """Minutes after the scheduled arrival, negative before it."""


class WeatherObserved(Event):
    """The weather at an origin in the hour from `event_time`, known when that hour is over.

    A reading is null where the instrument gave none.
    """

    event: Literal["weather-observed"]
    """Names the type."""
    origin: Airport
    """Code of the airport where it was observed."""
    temperature_fahrenheit: Annotated[float | None, Field(ge=-80.0, le=140.0)]
    """Of the air."""
    dew_point_fahrenheit: Annotated[float | None, Field(ge=-80.0, le=140.0)]
    """Below it, water condenses."""
    relative_humidity_percent: Annotated[float | None, Field(ge=0.0, le=100.0)]
    """Of the air."""
    wind_direction_degrees: Annotated[float | None, Field(ge=0.0, le=360.0)]
    """Where the wind comes from, clockwise from north."""
    wind_speed_mph: Annotated[float | None, Field(ge=0.0, le=200.0)]
    """Mean of the wind."""
    wind_gust_mph: Annotated[float | None, Field(ge=0.0, le=250.0)]
    """Strongest gust."""
    precipitation_inches: Annotated[float | None, Field(ge=0.0, le=20.0)]
    """Rain, and snow as water, in the hour."""
    pressure_millibars: Annotated[float | None, Field(ge=850.0, le=1100.0)]
    """Reduced to sea level."""
    visibility_miles: Annotated[float | None, Field(ge=0.0, le=100.0)]
    """How far one can see."""
