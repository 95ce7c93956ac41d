"""A use case with state: how much will a meter draw? A number.

Readings only update what is known of a meter and of its area; a request asks for a prediction, and
is counted. Meters of all partitions share areas, so that an area's state is fed by every source.
"""

import json
import math
import os
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from stream_app import (
    Column,
    DecayedSums,
    Event,
    FeatureSet,
    InputTopic,
    LastValue,
    LogRecord,
    Matrix,
    OpenItems,
    Outputs,
    Prediction,
    Row,
    RowFeature,
    UseCase,
    View,
    make_matrix,
    package,
    per_batch,
)
from tests.usecases.suffixes import suffixed

__all__ = [
    "FEATURES", "Forecast", "Reading", "Request", "events", "iso", "make_usecase", "topic_of",
    "train", "usecase",
]  # fmt: skip

Meter = Annotated[str, Field(min_length=1, max_length=64)]
Area = Annotated[str, Field(min_length=1, max_length=64)]


class Reading(Event):
    """What a meter showed; only updates."""

    meter: Meter
    area: Area | None = None
    kilowatts: Annotated[float, Field(ge=0.0, le=10_000.0)]
    volts: Annotated[float, Field(ge=0.0, le=1_000.0)] | None = None


class Request(Event):
    """Asks what a meter will draw."""

    meter: Meter
    area: Area | None = None
    minutes_ahead: Annotated[int, Field(ge=0, le=10_080)]
    celsius: Annotated[float, Field(ge=-90.0, le=60.0)]


class Forecast(Prediction):
    """The load that is expected."""

    kilowatts: float
    peak: bool


HOUR, DAY = 3_600.0, 86_400.0

FEATURES = FeatureSet(
    View("meter_load", "meter", DecayedSums(6 * HOUR, ("kilowatts",)), Reading, lambda s: (
        Column("meter_mean", s.mean("kilowatts"), "kW", "Decayed mean of a meter."),
        Column("meter_readings", s.count(), "readings", "Decayed number of readings."))),
    View("meter_shown", "meter", LastValue(("kilowatts", "volts")), Reading, lambda s: (
        Column("meter_last", s.value("kilowatts"), "kW", "Newest reading."),
        Column("meter_age", s.age(), "s", "Age of the newest reading.")), ttl_seconds=7 * DAY),
    View("area_load", "area", DecayedSums(HOUR, ("kilowatts", "squared")), {
        Reading: lambda e: (e.event_time, e.kilowatts, e.kilowatts**2),
        # A request is no load, but reading and updating one state is the harder case.
        Request: lambda e: (e.event_time, 0.0, 0.0) if e.area is not None else None},
        lambda s: Column("area_mean", s.mean("kilowatts"), "kW", "Decayed mean of an area.")),
    View("meter_asked", "meter", DecayedSums(HOUR), Request,
        lambda s: Column("requests", s.count(), "requests", "Decayed requests before.")),
    View("area_due", "area", OpenItems(6 * HOUR, slot_seconds=360.0), {
        # A reading is taken for an answer to whoever asked for its time.
        Request: lambda e: (e.event_time + 60.0 * e.minutes_ahead, 1),
        Reading: lambda e: (e.event_time, -1)},
        lambda s: Column("due", s.overdue(HOUR), "requests", "Asked for an hour before.")),
    RowFeature("celsius", "celsius", "degC", "Temperature outside."),
    RowFeature("minutes_ahead", "minutes_ahead", "min", "How far ahead.", "int64"),
    RowFeature("hour", lambda e: datetime.fromtimestamp(e.event_time, UTC).hour, "h", "In UTC.",
        "int64"),
    triggers=Request,
)  # fmt: skip

START = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
"""When the log that it is trained on begins."""

#: What the model takes: all but `due`, which is read and left out.
COLUMNS = tuple(name for name in FEATURES.columns if name != "due")


@per_batch
def _answers(
    events: Sequence[Any], rows: Sequence[Row], outputs: Outputs, decision: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    peak = decision["peak_kilowatts"]
    return [{"kilowatts": x, "peak": x > peak} for x in outputs["kilowatts"].tolist()]


def make_usecase(suffix: str = "") -> UseCase:
    """The use case, on topics whose names end in `suffix`."""
    return UseCase(
        name=suffixed("meters", suffix),
        topics=(
            InputTopic(suffixed("meters.readings", suffix), Reading, 3),
            InputTopic(suffixed("meters.requests", suffix), Request, 2),
        ),
        predictions_topic=suffixed("meters.forecasts", suffix),
        dead_letters_topic=suffixed("meters.dead-letters", suffix),
        features=FEATURES,
        prediction=Forecast,
        answer=_answers,
        champion="meters/1",
        output_partitions=2,
    )


usecase = make_usecase(os.environ.get("TEST_TOPIC_SUFFIX", ""))


def iso(seconds: float) -> str:
    """RFC 3339 of seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _usual_load(meter: int, at: float) -> float:
    """What a meter of `events` draws at a moment, in kW, noise apart."""
    return 2.0 + meter / 10.0 + math.sin(at / 86_400.0 * 2.0 * math.pi)


def events(
    count: int, start: float, *, step: float = 60.0, meters: int = 20, seed: int = 7
) -> list[dict[str, Any]]:
    """Events as JSON, `step` seconds apart from `start`: two readings for each request."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        at = start + number * step
        meter = rng.randrange(meters)
        event: dict[str, Any] = {
            "event_id": f"e{number}",
            # Some report late: what is known is not in the order of what happened.
            "event_time": iso(at - rng.choice((0.0, 0.0, 7.5 * step))),
            "meter": f"m{meter}",
            "area": f"a{meter % 3}" if meter % 5 else None,
        }
        if number % 3 == 2:
            event |= {"minutes_ahead": rng.randrange(1, 600), "celsius": round(rng.gauss(10, 8), 1)}
        else:
            load = _usual_load(meter, at) + rng.gauss(0.0, 0.2)
            event |= {"kilowatts": round(max(0.0, load), 3)}
            event |= {"volts": round(rng.gauss(230, 2), 1)} if rng.random() < 0.8 else {}
        made.append(event)
    return made


def topic_of(event: Mapping[str, Any], usecase: UseCase) -> str:
    """The topic that an event of `events` belongs to."""
    return usecase.topics["minutes_ahead" in event].name


@cache
def _fitted() -> Any:
    """Trees."""
    from lightgbm import LGBMRegressor

    matrix = _matrix(usecase)
    model = LGBMRegressor(n_estimators=20, num_leaves=8, n_jobs=1, verbosity=-1, random_state=7)
    return model.fit(matrix.only(*COLUMNS).array(), matrix.labels)


def _matrix(usecase: UseCase) -> Matrix:
    log = [
        LogRecord(json.dumps(event).encode(), topic=topic_of(event, usecase))
        for event in events(3_000, START)
    ]

    def usual_load(request: Request) -> float:
        return _usual_load(int(request.meter[1:]), request.event_time)

    return make_matrix(usecase, log, label=usual_load)


def train(artifacts: Path, usecase: UseCase = usecase) -> None:
    """Write the model version that `usecase` serves."""
    matrix = _matrix(usecase).only(*COLUMNS)
    package(
        artifacts / usecase.champion,
        usecase,
        _fitted(),
        matrix,
        outputs={"prediction": "kilowatts"},
        decision={"peak_kilowatts": 3.0},
        name="meters",
    )
