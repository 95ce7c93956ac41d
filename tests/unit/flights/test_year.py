"""The year's events come in the order in which they became known."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from itertools import islice

import pytest

from features.flights import usecase
from features.flights.data.year import DECEMBER, TOPICS, Record, events, known_at, records
from features.flights.events import Arrived, Boarding, Departed, FlightEvent, WeatherObserved
from stream_app.features.events import JsonDecoder, LogRecord

DECODERS = {topic.name: topic.decoder for topic in usecase.topics}


def test_topics_are_those_of_the_use_case() -> None:
    """The producer's order of topics is the one that breaks ties in the worker."""
    assert tuple(topic.name for topic in usecase.topics) == TOPICS


def test_records_are_in_order(december: list[Record]) -> None:
    """They rise by known-at, then event time, then topic."""
    order = [(r.known_at, r.event_time, TOPICS.index(r.topic)) for r in december]
    assert order == sorted(order)


def test_records_decode_to_the_events_used_for_training(december: list[Record]) -> None:
    """The way through JSON changes no bit, so training and serving see the same numbers."""
    for record, event in zip(december[:8_000], events(DECEMBER, count=8_000), strict=True):
        decoded = DECODERS[record.topic](LogRecord(record.value))
        assert decoded == event
        assert decoded.event_time == record.event_time
        assert known_at(event) == record.known_at
        assert not decoded.__pydantic_extra__


def test_event_ids_are_unique_per_type(december: list[Record]) -> None:
    """No two events of a type share an id, and a flight has at most one of each."""
    ids = Counter((r.topic, DECODERS[r.topic](LogRecord(r.value)).event_id) for r in december)
    assert max(ids.values()) == 1


def test_boarding_is_an_hour_before_the_schedule(december: list[Record]) -> None:
    """A prediction is asked for 60 minutes before departure, before any news of the flight."""
    boarded = set()
    for record in december:
        event = DECODERS[record.topic](LogRecord(record.value))
        if isinstance(event, Boarding):
            assert event.event_time == event.scheduled_departure - 3600
            boarded.add(event.flight_id)
        elif (
            isinstance(event, FlightEvent)
            and event.scheduled_departure - 3600 > december[0].known_at
        ):
            assert event.flight_id in boarded


def test_times_and_delays_agree(december: list[Record]) -> None:
    """A departure lies its delay after the schedule; an arrival its delay after that of arrival."""
    due = {}
    for record in december:
        event = DECODERS[record.topic](LogRecord(record.value))
        if isinstance(event, Boarding):
            due[event.flight_id] = event.scheduled_departure + 60 * event.scheduled_elapsed_minutes
        elif isinstance(event, Departed):
            delay = (event.event_time - event.scheduled_departure) / 60
            assert event.departure_delay_minutes == delay
        elif isinstance(event, Arrived) and event.flight_id in due:
            delay = (event.event_time - due[event.flight_id]) / 60
            assert event.arrival_delay_minutes == delay


def test_weather_is_known_when_its_hour_is_over(december: list[Record]) -> None:
    """An observation is never available in the hour it describes."""
    hours = [r for r in december if r.topic == "weather.observed"]
    assert len(hours) > 500
    assert all(r.known_at == r.event_time + 3600 for r in hours)


def test_keys_spread_flights_and_keep_an_origins_weather_together(december: list[Record]) -> None:
    """Flights are keyed by flight, the weather by origin."""
    for record in islice(december, 2_000):
        event = DECODERS[record.topic](LogRecord(record.value))
        key = event.origin if isinstance(event, WeatherObserved) else event.flight_id  # type: ignore[attr-defined]
        assert record.key == key.encode()


def test_times_on_the_wire_carry_an_offset(december: list[Record]) -> None:
    """Each time is RFC 3339 with an offset."""
    times = re.findall(rb'"(2013-[0-9]{2}-[0-9]{2}T[^"/]*)"', december[100].value)
    assert times
    assert all(re.fullmatch(rb"[0-9-]{10}T[0-9:]{8}Z", time) for time in times)


def test_a_start_in_the_year_leaves_nothing_out() -> None:
    """What comes from a later start is the tail of what comes from an earlier one."""
    early = [r for r in records(date(2013, 12, 29)) if r.known_at >= 1388379600.0]
    late = list(records(date(2013, 12, 30)))
    assert late == early


@pytest.mark.parametrize("contract", [Boarding, Departed, Arrived, WeatherObserved])
def test_contracts_have_a_schema_with_units(contract: type) -> None:
    """Every number's name ends in its unit, but for the flight number."""
    units = ("minutes", "miles", "mph", "fahrenheit", "percent", "degrees", "inches", "millibars")
    schema = JsonDecoder(contract).json_schema()
    for name, field in schema["properties"].items():
        kinds = {field.get("type"), *(each.get("type") for each in field.get("anyOf", []))}
        if "number" in kinds and name not in {"event_time", "scheduled_departure"}:
            assert name.endswith(units), name
