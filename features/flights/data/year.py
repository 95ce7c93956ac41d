"""The year 2013 as it became known: every event of the vendored data, in order.

992,643 events of flights and 26,115 of the weather. `records` gives what a producer sends,
`events` the same events as objects, for training; both have the same floats.
"""

from __future__ import annotations

import heapq
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from features.flights.clock import local_date, local_midnight
from features.flights.events import Arrived, Boarding, Departed, WeatherObserved
from stream_app import Event

__all__ = ["DECEMBER", "READINGS", "TOPICS", "Record", "events", "known_at", "records"]

#: The topics, in the order that breaks ties: what happened in the same minute as a request for a
#: prediction comes before it.
TOPICS = ("weather.observed", "flights.arrived", "flights.departed", "flights.boarding")

DECEMBER = date(2013, 12, 1)

_WEATHER, _ARRIVED, _DEPARTED, _BOARDING = range(len(TOPICS))

_EPOCH = datetime(2013, 1, 1, tzinfo=UTC)
_EPOCH_SECONDS = _EPOCH.timestamp()
_DATA = Path(__file__).parent

#: A reading of the weather is known when the hour it describes is over.
_WEATHER_MINUTES = 60
#: A prediction is asked for so many minutes before the scheduled departure.
_LEAD_MINUTES = 60
#: No flight of the year has an event later than this after its scheduled departure.
_LONGEST_MINUTES = 3 * 1440


class Record(NamedTuple):
    """A record as a producer sends it."""

    topic: str
    key: bytes
    value: bytes
    known_at: float
    """When the event becomes known, in seconds since the epoch: the timestamp of a live record."""
    event_time: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class _Flight:
    id: str
    scheduled_minute: int
    elapsed_minutes: int
    departure_delay_minutes: int | None
    arrival_delay_minutes: int | None
    carrier: str
    number: int
    tail: str | None
    origin: str
    destination: str
    distance_miles: int


#: Known at, event time (both in minutes since 2013-01-01T00:00Z), position of the topic, number of
#: the row, the row: it sorts by what comes before the row.
_Occurrence = tuple[int, int, int, int, Any]


def records(start: date = DECEMBER, count: int | None = None) -> Iterator[Record]:
    """Yield the records that become known from midnight of `start`, New York time, on.

    `count` limits how many. Ordered by `known_at`, event time and `TOPICS`.
    """
    for known, minute, topic, _, row in islice(_occurrences(start), count):
        key = row[1] if topic == _WEATHER else row.id
        value = _VALUES[topic](row, minute)
        yield Record(TOPICS[topic], key.encode(), value.encode(), _seconds(known), _seconds(minute))


def events(start: date = date(2013, 1, 1), count: int | None = None) -> Iterator[Event]:
    """Yield the events of `records` as objects, without the way through JSON."""
    for _, minute, topic, _, row in islice(_occurrences(start), count):
        yield _EVENTS[topic](row, minute)


def known_at(event: Event) -> float:
    """When an event of the year becomes known, in seconds since the epoch."""
    if isinstance(event, WeatherObserved):
        return event.event_time + 60.0 * _WEATHER_MINUTES
    return event.event_time


def _occurrences(start: date) -> Iterator[_Occurrence]:
    first = int(local_midnight(start) - _EPOCH_SECONDS) // 60
    both = heapq.merge(_flight_occurrences(first), _weather_occurrences())
    return (occurrence for occurrence in both if occurrence[0] >= first)


def _flight_occurrences(first: int) -> Iterator[_Occurrence]:
    # Flights come in order of scheduled departure. What happened in a minute is complete when the
    # next flight's boarding, its first event, lies later.
    waiting: list[_Occurrence] = []
    for row, line in enumerate(_lines("flights.csv.xz")):
        scheduled = int(line[: line.index(",")])
        if scheduled < first - _LONGEST_MINUTES:
            continue
        boarding = scheduled - _LEAD_MINUTES
        while waiting and waiting[0][0] < boarding:
            yield heapq.heappop(waiting)
        flight = _flight(line)
        heapq.heappush(waiting, (boarding, boarding, _BOARDING, row, flight))
        if flight.departure_delay_minutes is not None:
            at = scheduled + flight.departure_delay_minutes
            heapq.heappush(waiting, (at, at, _DEPARTED, row, flight))
        if flight.arrival_delay_minutes is not None:
            at = scheduled + flight.elapsed_minutes + flight.arrival_delay_minutes
            heapq.heappush(waiting, (at, at, _ARRIVED, row, flight))
    while waiting:
        yield heapq.heappop(waiting)


def _weather_occurrences() -> Iterator[_Occurrence]:
    for row, line in enumerate(_lines("weather.csv.xz")):
        readings = line.split(",")
        hour = int(readings[0])
        yield hour + _WEATHER_MINUTES, hour, _WEATHER, row, readings


def _lines(name: str) -> list[str]:
    return lzma.decompress((_DATA / name).read_bytes()).decode().splitlines()[1:]


def _flight(line: str) -> _Flight:
    (scheduled, elapsed, departure, arrival, carrier, number, tail, origin, destination, miles) = (
        line.split(",")
    )
    minute = int(scheduled)
    return _Flight(
        id=f"{_day(minute)}-{carrier}{number}-{origin}",
        scheduled_minute=minute,
        elapsed_minutes=int(elapsed),
        departure_delay_minutes=int(departure) if departure else None,
        arrival_delay_minutes=int(arrival) if arrival else None,
        carrier=carrier,
        number=int(number),
        tail=tail or None,
        origin=origin,
        destination=destination,
        distance_miles=int(miles),
    )


def _seconds(minute: int) -> float:
    return _EPOCH_SECONDS + 60.0 * minute


# Caches of one entry a minute: flights crowd into the same minutes.
@cache
def _day(minute: int) -> str:
    return local_date(_seconds(minute)).strftime("%Y%m%d")


@cache
def _time(minute: int) -> str:
    return f"{_EPOCH + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%SZ}"


def _flight_event(flight: _Flight, kind: str, minute: int) -> dict[str, Any]:
    return {
        "event_id": f"{flight.id}/{kind}",
        "event_time": _seconds(minute),
        "event": kind,
        "flight_id": flight.id,
        "carrier": flight.carrier,
        "flight_number": flight.number,
        "tail_number": flight.tail,
        "origin": flight.origin,
        "destination": flight.destination,
        "scheduled_departure": _seconds(flight.scheduled_minute),
    }


def _boarding(flight: _Flight, minute: int) -> Event:
    return Boarding.model_construct(
        **_flight_event(flight, "boarding", minute),
        scheduled_elapsed_minutes=float(flight.elapsed_minutes),
        distance_miles=float(flight.distance_miles),
    )


def _departed(flight: _Flight, minute: int) -> Event:
    assert flight.departure_delay_minutes is not None
    return Departed.model_construct(
        **_flight_event(flight, "departed", minute),
        departure_delay_minutes=float(flight.departure_delay_minutes),
    )


def _arrived(flight: _Flight, minute: int) -> Event:
    assert flight.arrival_delay_minutes is not None
    return Arrived.model_construct(
        **_flight_event(flight, "arrived", minute),
        arrival_delay_minutes=float(flight.arrival_delay_minutes),
    )


#: The readings of a row of weather.csv, after hour and origin.
READINGS = (
    "temperature_fahrenheit",
    "dew_point_fahrenheit",
    "relative_humidity_percent",
    "wind_direction_degrees",
    "wind_speed_mph",
    "wind_gust_mph",
    "precipitation_inches",
    "pressure_millibars",
    "visibility_miles",
)


def _weather(row: list[str], minute: int) -> Event:
    readings: dict[str, Any] = {
        name: float(text) if text else None
        for name, text in zip(READINGS, row[2:], strict=True)
    }  # fmt: skip
    return WeatherObserved.model_construct(
        event_id=_weather_id(row, minute),
        event_time=_seconds(minute),
        event="weather-observed",
        origin=row[1],
        **readings,
    )


def _weather_id(row: list[str], minute: int) -> str:
    return f"{_time(minute)}-{row[1]}/weather"


# The values are written by hand: the data hold only digits, capitals and dots, and a producer of
# the demo's 25,000 records a second has no time for more.
def _flight_value(flight: _Flight, kind: str, minute: int, more: str) -> str:
    tail = "null" if flight.tail is None else f'"{flight.tail}"'
    return (
        f'{{"event_id":"{flight.id}/{kind}","event_time":"{_time(minute)}","event":"{kind}",'
        f'"flight_id":"{flight.id}","carrier":"{flight.carrier}","flight_number":{flight.number},'
        f'"tail_number":{tail},"origin":"{flight.origin}","destination":"{flight.destination}",'
        f'"scheduled_departure":"{_time(flight.scheduled_minute)}",{more}}}'
    )


def _boarding_value(flight: _Flight, minute: int) -> str:
    more = (
        f'"scheduled_elapsed_minutes":{flight.elapsed_minutes},'
        f'"distance_miles":{flight.distance_miles}'
    )
    return _flight_value(flight, "boarding", minute, more)


def _departed_value(flight: _Flight, minute: int) -> str:
    more = f'"departure_delay_minutes":{flight.departure_delay_minutes}'
    return _flight_value(flight, "departed", minute, more)


def _arrived_value(flight: _Flight, minute: int) -> str:
    more = f'"arrival_delay_minutes":{flight.arrival_delay_minutes}'
    return _flight_value(flight, "arrived", minute, more)


def _weather_value(row: list[str], minute: int) -> str:
    readings = ",".join(
        f'"{name}":{text or "null"}' for name, text in zip(READINGS, row[2:], strict=True)
    )
    return (
        f'{{"event_id":"{_weather_id(row, minute)}","event_time":"{_time(minute)}",'
        f'"event":"weather-observed","origin":"{row[1]}",{readings}}}'
    )


#: By position in `TOPICS`.
_EVENTS: tuple[Callable[[Any, int], Event], ...] = (_weather, _arrived, _departed, _boarding)
_VALUES: tuple[Callable[[Any, int], str], ...] = (
    _weather_value,
    _arrived_value,
    _departed_value,
    _boarding_value,
)
