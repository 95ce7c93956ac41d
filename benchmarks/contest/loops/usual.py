"""The loop that people write: an event at a time, pydantic, one Redis hash an entity, JSON.

The same events, the same columns and the same ONNX model, all by hand. Two round trips to Redis an event:
one pipeline that reads the hashes of the event's entities, one that writes what changed.

Guarantees: none. Offsets are committed by the clock, as the client does by default, whatever became of
the predictions in the producer's queue; what is read again after a crash is counted again; two processes
that share an entity lose updates. A malformed record is logged and skipped.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from confluent_kafka import Consumer, Producer
from pydantic import BaseModel, ValidationError
from redis import Redis

from benchmarks.contest.surroundings import Surroundings, end_at_once_when_told
from features.flights import usecase
from features.flights.clock import day_of_week, minute_of_day
from features.flights.events import Arrived, Boarding, Departed, FlightEvent, WeatherObserved

__all__ = ["Features", "Scorer"]

log = logging.getLogger(__name__)

_HOUR: Final = 3_600.0
_DAY: Final = 24 * _HOUR
_LATE_MINUTES: Final = 15.0
_QUEUE_HORIZON: Final = 5 * _HOUR
_READINGS: Final = (
    "wind_direction_degrees", "wind_speed_mph", "relative_humidity_percent",
    "precipitation_inches", "pressure_millibars", "visibility_miles",
)  # fmt: skip

Hash = dict[str, Any]
"""Fields of a Redis hash, each a JSON value."""


class Features:
    """What is kept of each entity, and what is read of it."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._redis = client
        self._prefix = prefix

    def read(self, keys: list[str]) -> dict[str, Hash]:
        """The hashes of some entities, in one round trip."""
        with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hgetall(f"{self._prefix}:{key}")
            found = pipe.execute()
        return {
            key: {name.decode(): json.loads(text) for name, text in fields.items()}
            for key, fields in zip(keys, found, strict=True)
        }

    def write(self, hashes: Mapping[str, Hash]) -> None:
        """Write fields of hashes, in one round trip."""
        with self._redis.pipeline(transaction=False) as pipe:
            for key, fields in hashes.items():
                encoded: Any = {name: json.dumps(value) for name, value in fields.items()}
                pipe.hset(f"{self._prefix}:{key}", mapping=encoded)
            pipe.execute()


def _keys(event: FlightEvent) -> dict[str, str]:
    keys = {
        "origin": f"origin:{event.origin}",
        "carrier": f"carrier-origin:{event.carrier}-{event.origin}",
        "destination": f"destination:{event.destination}",
        "route": f"route:{event.origin}-{event.destination}",
        "flight": f"flight:{event.carrier}{event.flight_number}-{event.origin}",
    }
    if event.tail_number is not None:
        keys["tail"] = f"tail:{event.tail_number}"
    return keys


def _decayed(old: list[float] | None, time: float, minutes: float, half_life: float) -> list[float]:
    """{time, weight, sum of delays, sum of late ones}, all halved every half-life."""
    clipped, late = min(max(minutes, -30.0), 240.0), float(minutes > _LATE_MINUTES)
    if old is None:
        return [time, 1.0, clipped, late]
    at, *sums = old
    keep, weight = (
        2.0 ** -max(0.0, (time - at) / half_life),
        2.0 ** min(0.0, (time - at) / half_life),
    )
    added = zip(sums, (1.0, clipped, late), strict=True)
    return [max(at, time), *(had * keep + more * weight for had, more in added)]


def _queue(old: dict[str, int] | None, due: float, change: int) -> dict[str, int]:
    minute = int(due // 60)
    counts = {
        known: count
        for known, count in (old or {}).items()
        if count and int(known) > minute - _QUEUE_HORIZON / 60
    }
    counts[str(minute)] = counts.get(str(minute), 0) + change
    return counts


def _fresh(value: list[Any] | None, now: float, seconds: float) -> list[Any] | None:
    """A value that begins with its time, or None where that is too long ago."""
    return None if value is None or now - value[0] > seconds else value


def _means(sums: list[float] | None) -> tuple[float, float]:
    if sums is None or sums[1] <= 0.0:
        return math.nan, math.nan
    return sums[2] / sums[1], sums[3] / sums[1]


def _overdue(counts: dict[str, int] | None, now: float, hours: float) -> float:
    last = int(now // 60)
    first = last - int(hours * 60)
    return float(sum(c for minute, c in (counts or {}).items() if first < int(minute) <= last))


def updates(event: Any, keys: Mapping[str, str], found: Mapping[str, Hash]) -> dict[str, Hash]:
    """The fields that an event changes, by key."""
    time = event.event_time
    changed: dict[str, Hash] = {}

    def decay(entity: str, field: str, minutes: float, half_life: float) -> None:
        old = found[keys[entity]].get(field)
        changed.setdefault(keys[entity], {})[field] = _decayed(old, time, minutes, half_life)

    def last(field: str, value: Any) -> None:
        if "tail" in keys and found[keys["tail"]].get(field, [-math.inf])[0] <= time:
            changed.setdefault(keys["tail"], {})[field] = [time, value]

    def queue(change: int) -> None:
        old = found[keys["origin"]].get("queue")
        counts = _queue(old, event.scheduled_departure, change)
        changed.setdefault(keys["origin"], {})["queue"] = counts

    match event:
        case Boarding():
            queue(1)
        case Departed():
            decay("origin", "departures", event.departure_delay_minutes, _HOUR)
            decay("carrier", "departures", event.departure_delay_minutes, _HOUR)
            queue(-1)
            last("departure", event.departure_delay_minutes)
        case Arrived():
            decay("carrier", "arrivals", event.arrival_delay_minutes, 4 * _HOUR)
            decay("destination", "arrivals", event.arrival_delay_minutes, 4 * _HOUR)
            decay("route", "arrivals", event.arrival_delay_minutes, 4 * _HOUR)
            decay("flight", "arrivals", event.arrival_delay_minutes, 14 * _DAY)
            last("arrival", event.arrival_delay_minutes)
        case WeatherObserved():
            readings = [time, *(getattr(event, name) for name in _READINGS)]
            changed[keys["origin"]] = {"weather": readings}
    return changed


def row(event: Boarding, keys: Mapping[str, str], found: Mapping[str, Hash]) -> Hash:
    """The columns of a flight that boards."""
    now = event.event_time
    origin, carrier = found[keys["origin"]], found[keys["carrier"]]
    tail = found[keys["tail"]] if "tail" in keys else {}
    departures = _fresh(origin.get("departures"), now, 10 * _HOUR)
    count = 0.0
    if departures is not None:
        count = departures[1] * 2.0 ** -max(0.0, (now - departures[0]) / _HOUR)
    weather = _fresh(origin.get("weather"), now, 6 * _HOUR) or [0.0, *[None] * 6]
    weather = [math.nan if reading is None else reading for reading in weather]
    arrivals = (
        ("carrier_origin_arrivals", "carrier", 4 * _HOUR),
        ("destination_arrivals", "destination", 4 * _HOUR),
        ("route_arrivals", "route", 4 * _HOUR),
        ("flight_number_arrivals", "flight", 14 * _DAY),
    )
    pairs = {
        "origin_departures": departures,
        "carrier_origin_departures": _fresh(carrier.get("departures"), now, 10 * _HOUR),
    } | {
        name: _fresh(found[keys[entity]].get("arrivals"), now, 10 * half_life)
        for name, entity, half_life in arrivals
    }
    columns: Hash = {"origin_departures_count": count}
    for name, sums in pairs.items():
        columns[f"{name}_mean_delay"], columns[f"{name}_share_late"] = _means(sums)
    for leg in ("departure", "arrival"):
        at, delay = _fresh(tail.get(leg), now, 14 * _DAY) or (math.nan, math.nan)
        columns[f"tail_{leg}_delay"], columns[f"tail_{leg}_age"] = delay, now - at
    for hours in (2, 4):
        columns[f"origin_queue_{hours}h"] = _overdue(origin.get("queue"), now, hours)
    names = ("wind_direction", "wind_speed", "relative_humidity", "precipitation", "pressure",
             "visibility")  # fmt: skip
    columns |= {f"origin_{name}": value for name, value in zip(names, weather[1:], strict=True)}
    return columns | {
        "scheduled_minute_of_day": minute_of_day(event.scheduled_departure),
        "scheduled_day_of_week": day_of_week(event.scheduled_departure),
        "scheduled_elapsed": event.scheduled_elapsed_minutes,
        "distance": event.distance_miles,
        "carrier": event.carrier,
        "origin": event.origin,
        "destination": event.destination,
        "route": f"{event.origin}-{event.destination}",
    }


class Scorer:
    """The model, a row at a time."""

    def __init__(self, folder: Path) -> None:
        self._manifest = json.loads((folder / "manifest.json").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(folder / "model.onnx", options)
        self.threshold = float(self._manifest["decision"]["threshold"])
        self._codes = self._manifest["encodings"]

    def __call__(self, columns: Hash) -> float:
        """The probability of being late."""
        for name, encoding in self._codes.items():
            columns[name] = encoding["codes"].get(columns[name], encoding["unseen"])
        feed = {
            tensor["name"]: np.array([[columns[c] for c in tensor["columns"]]], tensor["dtype"])
            for tensor in self._manifest["inputs"]
        }
        (score,) = self._session.run([self._manifest["outputs"][0]["name"]], feed)
        return round(float(np.ravel(score)[0]), 6)


def main() -> None:
    """One event at a time."""
    end_at_once_when_told()
    surroundings = Surroundings.read()
    contracts: dict[str, type[BaseModel]] = {t.name: t.contract for t in usecase.topics}  # type: ignore[misc]
    features = Features(Redis.from_url(surroundings.redis), surroundings.group)
    scorer = Scorer(Path(surroundings.artifacts) / usecase.champion)
    counter = surroundings.counter()
    connection = {"bootstrap.servers": surroundings.bootstrap}
    producer = Producer(connection)
    consumer = Consumer(
        connection | {"group.id": surroundings.group, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(list(contracts))
    publish: Callable[..., None] = producer.produce
    while True:
        message: Any = consumer.poll(1.0)
        if message is None or message.error() is not None:
            continue
        try:
            event: Any = contracts[message.topic()].model_validate_json(message.value())
        except ValidationError:
            log.exception("%s %d %d", message.topic(), message.partition(), message.offset())
            counter.add(1)
            continue
        is_weather = isinstance(event, WeatherObserved)
        keys = {"origin": f"origin:{event.origin}"} if is_weather else _keys(event)
        found = features.read(list(keys.values()))
        if isinstance(event, Boarding):
            score = scorer(row(event, keys, found))
            value = {
                "event_id": event.event_id,
                "event_time": event.event_time,
                "score": score,
                "late": score >= scorer.threshold,
                "model": usecase.champion,
            }
            publish(usecase.predictions_topic, json.dumps(value), message.key())
            producer.poll(0)
        features.write(updates(event, keys, found))
        counter.add(1)


if __name__ == "__main__":
    main()
