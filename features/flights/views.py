"""The demo's features: what is known of a flight an hour before it is to leave.

Delays of departures tell how an origin runs now; delays of arrivals tell how late flights of a
route or a flight number end up. Nothing learned from data stands here: fitted encodings are in the
model's graph.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from features.flights.clock import day_of_week, minute_of_day
from features.flights.events import Arrived, Boarding, Departed, FlightEvent, WeatherObserved
from stream_app import (
    Column,
    DecayedSums,
    Entity,
    FeatureSet,
    LastValue,
    OpenItems,
    RowFeature,
    Update,
    View,
)

__all__ = ["LATE_MINUTES", "features", "is_late"]

#: A flight is late when it is more than this many minutes behind its schedule.
LATE_MINUTES: Final = 15.0

# One flight in a thousand is hours late; beyond these bounds (minutes) it tells a mean no more.
_EARLIEST_MINUTES: Final = -30.0
_LATEST_MINUTES: Final = 240.0

_HOUR: Final = 3600.0
_DAY: Final = 24 * _HOUR


def is_late(delay_minutes: float) -> bool:
    """Whether a delay counts as late: the label, and what the views count."""
    return delay_minutes > LATE_MINUTES


def _delay(time: float, delay_minutes: float) -> Update:
    clipped = min(max(delay_minutes, _EARLIEST_MINUTES), _LATEST_MINUTES)
    return time, clipped, 1.0 if delay_minutes > LATE_MINUTES else 0.0


def _departure_delay(event: Departed) -> Update:
    return _delay(event.event_time, event.departure_delay_minutes)


def _arrival_delay(event: Arrived) -> Update:
    return _delay(event.event_time, event.arrival_delay_minutes)


def _is_due(event: Boarding) -> Update:
    return event.scheduled_departure, 1


def _has_left(event: Departed) -> Update:
    return event.scheduled_departure, -1


def _route(event: FlightEvent) -> str:
    return f"{event.origin}-{event.destination}"


_ORIGIN = Entity("origin", doc="Airport of departure.")
_CARRIER_ORIGIN = Entity(
    "carrier-origin",
    lambda event: f"{event.carrier}-{event.origin}",
    "An airline at an airport of departure.",
)
_DESTINATION = Entity("destination", doc="Airport of arrival.")
_ROUTE = Entity("route", _route, "A pair of airports.")
_FLIGHT_NUMBER = Entity(
    "flight-number",
    lambda event: f"{event.carrier}{event.flight_number}-{event.origin}",
    "A flight as the schedule names it, over all days.",
)
_TAIL = Entity("tail", "tail_number", "An aircraft; none where its number is not known.")


def _delays(name: str, entity: Entity, *, of: str, half_life_seconds: float) -> View:
    """Decayed mean delay and share late of an entity's departures or arrivals."""
    state = DecayedSums(half_life_seconds, ("delay_minutes", "late"))
    hours = half_life_seconds / _HOUR
    half_life = f"{hours:g} h" if hours < 24 else f"{hours / 24:g} days"
    return View(
        name=name,
        entity=entity,
        state=state,
        on={Departed: _departure_delay} if of == "departures" else {Arrived: _arrival_delay},
        columns=(
            Column(
                f"{name}_mean_delay",
                state.mean("delay_minutes"),
                "minutes",
                f"Mean delay of the {entity.name}'s {of}, clipped to -30 to 240 minutes, weights "
                f"halved every {half_life}.",
            ),
            Column(
                f"{name}_share_late",
                state.mean("late"),
                "1",
                f"Share of the {entity.name}'s {of} more than 15 minutes late, weights halved "
                f"every {half_life}.",
            ),
        ),
        # After so many half-lives one late flight would still be all that is known.
        ttl_seconds=10 * half_life_seconds,
        doc=f"How late the {of} of each {entity.name} are.",
    )


def _origin_departures() -> View:
    view = _delays("origin_departures", _ORIGIN, of="departures", half_life_seconds=_HOUR)
    assert isinstance(view.state, DecayedSums)
    count = Column(
        "origin_departures_count",
        view.state.count(),
        "flights",
        "Departures of the origin, weights halved every 1 h: how busy it is.",
    )
    return replace(view, columns=(*view.columns, count))


def _queue() -> View:
    return View(
        "origin_queue",
        _ORIGIN,
        # A flight is due up to an hour ahead when it boards, and is looked for up to 4 h after.
        OpenItems(horizon_seconds=5 * _HOUR),
        {Boarding: _is_due, Departed: _has_left},
        lambda state: tuple(
            Column(
                f"origin_queue_{hours}h",
                state.overdue(hours * _HOUR),
                "flights",
                f"Flights of the origin scheduled in the last {hours} h that have not left.",
            )
            for hours in (2, 4)
        ),
        doc="Flights past their scheduled departure that have not left.",
    )


def _last_leg(event: type[FlightEvent], of: str) -> View:
    return View(
        f"tail_{of}",
        _TAIL,
        LastValue(("delay_minutes",)),
        {event: f"{of}_delay_minutes"},
        lambda state: (
            Column(
                f"tail_{of}_delay",
                state.value("delay_minutes"),
                "minutes",
                f"Delay of the aircraft's last {of} in the log.",
            ),
            Column(
                f"tail_{of}_age",
                state.age(),
                "seconds",
                f"Time since the aircraft's last {of}: whether it can be back in time.",
            ),
        ),
        # An aircraft away for longer starts afresh.
        ttl_seconds=14 * _DAY,
        doc=f"The last {of} of each aircraft.",
    )


def _weather() -> View:
    readings = {
        "wind_direction": "degrees",
        "wind_speed": "mph",
        "relative_humidity": "percent",
        "precipitation": "inches",
        "pressure": "millibars",
        "visibility": "miles",
    }
    return View(
        "origin_weather",
        _ORIGIN,
        LastValue(tuple(readings)),
        {WeatherObserved: tuple(f"{name}_{unit}" for name, unit in readings.items())},
        lambda state: tuple(
            Column(
                f"origin_{name}",
                state.value(name),
                unit,
                f"{name.replace('_', ' ').capitalize()} at the origin, last hour observed.",
            )
            for name, unit in readings.items()
        ),
        # Older weather than this says nothing of the next hours.
        ttl_seconds=6 * _HOUR,
        doc="The weather at each origin.",
    )


features = FeatureSet(
    _origin_departures(),
    _delays("carrier_origin_departures", _CARRIER_ORIGIN, of="departures", half_life_seconds=_HOUR),
    _delays("carrier_origin_arrivals", _CARRIER_ORIGIN, of="arrivals", half_life_seconds=4 * _HOUR),
    _delays("destination_arrivals", _DESTINATION, of="arrivals", half_life_seconds=4 * _HOUR),
    _delays("route_arrivals", _ROUTE, of="arrivals", half_life_seconds=4 * _HOUR),
    _delays("flight_number_arrivals", _FLIGHT_NUMBER, of="arrivals", half_life_seconds=14 * _DAY),
    _queue(),
    _last_leg(Departed, "departure"),
    _last_leg(Arrived, "arrival"),
    _weather(),
    RowFeature(
        "scheduled_minute_of_day",
        lambda event: minute_of_day(event.scheduled_departure),
        "minutes",
        "Scheduled departure on the clock at the origin (America/New_York), since midnight.",
    ),
    RowFeature(
        "scheduled_day_of_week",
        lambda event: day_of_week(event.scheduled_departure),
        "days",
        "Day of the scheduled departure at the origin (America/New_York), Monday is 0.",
    ),
    RowFeature(
        "scheduled_elapsed",
        "scheduled_elapsed_minutes",
        "minutes",
        "From scheduled departure to scheduled arrival.",
    ),
    RowFeature("distance", "distance_miles", "miles", "Length of the route."),
    RowFeature("carrier", "carrier", "code", "The airline."),
    RowFeature("origin", "origin", "code", "From where."),
    RowFeature("destination", "destination", "code", "Where to."),
    RowFeature("route", _route, "code", "Origin and destination.", "string"),
    triggers=Boarding,
)
