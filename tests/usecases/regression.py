"""A use case with state: how much will a meter draw? A number.

Readings only update what is known of a meter and of its area; a request asks for a prediction, and
is counted. Meters of all partitions share areas, so that an area's state is fed by every source.
"""

import math
import os
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from stream_app import (
    Column,
    DecayedSums,
    Entity,
    Event,
    FeatureSet,
    GoldenVector,
    InputTopic,
    JsonDecoder,
    LastValue,
    ModelInput,
    ModelOutput,
    OpenItems,
    Outputs,
    Prediction,
    Row,
    RowFeature,
    UseCase,
    View,
    measure_baseline,
    per_batch,
    record_golden_events,
    replay,
    write_version,
)
from tests.usecases.versions import START, make_manifest, suffixed

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


LOAD = DecayedSums(6 * 3600.0, ("kilowatts",))
ASKED = DecayedSums(3600.0)
SHOWN = LastValue(("kilowatts", "volts"))
AREA_LOAD = DecayedSums(3600.0, ("kilowatts", "squared"))
DUE = OpenItems(6 * 3600.0, slot_seconds=360.0)

METER = Entity("meter", lambda event: event.meter)
AREA = Entity("area", lambda event: event.area)

FEATURES = FeatureSet(
    views=(
        View(
            name="meter_load",
            entity=METER,
            state=LOAD,
            on={Reading: lambda e: (e.event_time, e.kilowatts)},
            columns=(
                Column("meter_mean", LOAD.mean("kilowatts"), "kW", "Decayed mean of a meter."),
                Column("meter_readings", LOAD.count(), "readings", "Decayed number of readings."),
            ),
        ),
        View(
            name="meter_shown",
            entity=METER,
            state=SHOWN,
            on={Reading: lambda e: (e.event_time, e.kilowatts, e.volts)},
            columns=(
                Column("meter_last", SHOWN.value("kilowatts"), "kW", "Newest reading."),
                Column("meter_age", SHOWN.age(), "s", "Age of the newest reading."),
            ),
            ttl_seconds=7 * 86_400.0,
        ),
        View(
            name="area_load",
            entity=AREA,
            state=AREA_LOAD,
            on={
                Reading: lambda e: (e.event_time, e.kilowatts, e.kilowatts**2),
                # A request is no load, but reading and updating one state is the harder case.
                Request: lambda e: (e.event_time, 0.0, 0.0) if e.area is not None else None,
            },
            columns=(
                Column("area_mean", AREA_LOAD.mean("kilowatts"), "kW", "Decayed mean of an area."),
            ),
        ),
        View(
            name="meter_asked",
            entity=METER,
            state=ASKED,
            on={Request: lambda e: (e.event_time,)},
            columns=(Column("requests", ASKED.count(), "requests", "Decayed requests before."),),
        ),
        View(
            name="area_due",
            entity=AREA,
            state=DUE,
            # A reading is taken for an answer to whoever asked for its time.
            on={
                Request: lambda e: (e.event_time + 60.0 * e.minutes_ahead, 1),
                Reading: lambda e: (e.event_time, -1),
            },
            columns=(Column("due", DUE.overdue(3600.0), "requests", "Asked for an hour before."),),
        ),
    ),
    row_features=(
        RowFeature("celsius", lambda e: e.celsius, "degC", "Temperature outside."),
        RowFeature("minutes_ahead", lambda e: e.minutes_ahead, "min", "How far ahead.", "int64"),
        RowFeature(
            "hour",
            lambda e: datetime.fromtimestamp(e.event_time, UTC).hour,
            "h",
            "Hour of the day in UTC.",
            "int64",
        ),
    ),
    triggers=(Request,),
)

NUMBERS = ("meter_mean", "meter_readings", "meter_last", "meter_age", "area_mean", "requests",
           "celsius")  # fmt: skip
WHOLE = ("minutes_ahead", "hour")


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
            InputTopic(suffixed("meters.readings", suffix), JsonDecoder(Reading), 3),
            InputTopic(suffixed("meters.requests", suffix), JsonDecoder(Request), 2),
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
        hour = at / 3600.0 % 24.0
        if number % 3 == 2:
            event |= {"minutes_ahead": rng.randrange(1, 600), "celsius": round(rng.gauss(10, 8), 1)}
        else:
            load = 2.0 + meter / 10.0 + math.sin(hour / 24.0 * 2.0 * math.pi) + rng.gauss(0.0, 0.2)
            event |= {"kilowatts": round(max(0.0, load), 3)}
            event |= {"volts": round(rng.gauss(230, 2), 1)} if rng.random() < 0.8 else {}
        made.append(event)
    return made


def topic_of(event: Mapping[str, Any], usecase: UseCase) -> str:
    """The topic that an event of `events` belongs to."""
    return usecase.topics["minutes_ahead" in event].name


def _graph(weights: np.ndarray, whole: np.ndarray, missing: np.ndarray) -> bytes:
    """`kilowatts` = known(x) . weights + n . whole, a missing number being its mean."""
    import onnx
    from onnx import TensorProto, helper

    constants = {"weights": weights, "whole": whole, "missing": missing, "axis": np.array([1])}
    terms = [f"term{i}" for i in range(len(weights) + len(whole))]
    graph = helper.make_graph(
        [
            helper.make_node("IsNaN", ["x"], ["absent"]),
            helper.make_node("Where", ["absent", "missing", "x"], ["known"]),
            helper.make_node("Cast", ["n"], ["m"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["known", "weights"], ["a"]),
            helper.make_node("Mul", ["m", "whole"], ["b"]),
            helper.make_node("Concat", ["a", "b"], ["terms"], axis=1),
            # Column by column: MatMul and ReduceSum add in another order for one row than for many.
            helper.make_node("Split", ["terms"], terms, axis=1),
            helper.make_node("Sum", terms, ["column"]),
            helper.make_node("Squeeze", ["column", "axis"], ["kilowatts"]),
        ],
        "meters",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, len(NUMBERS)]),
            helper.make_tensor_value_info("n", TensorProto.INT64, [None, len(WHOLE)]),
        ],
        [helper.make_tensor_value_info("kilowatts", TensorProto.FLOAT, [None])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString())


@cache
def _fitted() -> tuple[bytes, Any, dict[str, np.ndarray]]:
    """The graph, its arithmetic in Python, and the matrix it was fitted on."""
    log = [
        (Request if "minutes_ahead" in event else Reading).model_validate(event)
        for event in events(3_000, START.timestamp())
    ]
    rows = [row.values for row in replay(FEATURES, log)]
    matrix = dict(zip(FEATURES.columns, np.array(rows, dtype=np.float64).T, strict=True))
    x = np.stack([matrix[name] for name in NUMBERS], axis=1)
    n = np.stack([matrix[name] for name in WHOLE], axis=1)
    missing = np.nanmean(x, axis=0)
    known = np.where(np.isnan(x), missing, x)
    truth = matrix["meter_mean"] * 0.7 + np.sin(matrix["hour"] / 24 * 2 * np.pi)
    truth = np.where(np.isnan(truth), 3.0, truth)
    weights, *_ = np.linalg.lstsq(np.hstack([known, n]), truth, rcond=None)
    parts = weights[: len(NUMBERS)], weights[len(NUMBERS) :], missing
    single = [part.astype(np.float32) for part in parts]

    def forecast(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(x), single[2], x) @ single[0] + n @ single[1]

    return _graph(*single), forecast, matrix


def _weight_of(name: str, forecast: Any) -> float:
    """What one more of a number adds to the forecast."""
    nothing, one = np.zeros((1, len(NUMBERS))), np.zeros((1, len(NUMBERS)))
    one[0, NUMBERS.index(name)] = 1.0
    whole = np.zeros((1, len(WHOLE)))
    return float((forecast(one, whole) - forecast(nothing, whole))[0])


def train(artifacts: Path, usecase: UseCase = usecase) -> None:
    """Write the model version that `usecase` serves."""
    graph, forecast, matrix = _fitted()
    x = np.stack([matrix[name] for name in NUMBERS], axis=1)
    n = np.stack([matrix[name] for name in WHOLE], axis=1)
    predicted = forecast(x, n)

    def vector(case: str, x: Sequence[float], n: Sequence[int]) -> GoldenVector:
        columns = dict(zip(NUMBERS, x, strict=True))
        columns |= dict(zip(WHOLE, map(int, n), strict=True))
        output = float(forecast(np.array([x]), np.array([n]))[0])
        return GoldenVector(case=case, columns=columns, outputs={"kilowatts": output})

    manifest = make_manifest(
        "meters",
        predicted,
        ["numpy", "onnx"],
        inputs=(
            ModelInput(name="x", dtype="float32", columns=NUMBERS),
            ModelInput(name="n", dtype="int64", columns=WHOLE),
        ),
        features_fingerprint=usecase.features.fingerprint(),
        outputs=(ModelOutput(name="kilowatts", dtype="float32"),),
        decision={"peak_kilowatts": 1.5, "celsius": _weight_of("celsius", forecast)},
        metrics={"mean_kilowatts": float(predicted.mean())},
    )
    log = [(topic_of(event, usecase), event) for event in events(30, START.timestamp(), meters=4)]
    write_version(
        artifacts / usecase.champion,
        manifest,
        model=graph,
        baseline=measure_baseline(matrix, {"kilowatts": predicted}),
        golden=[
            vector("a usual request", [3.0, 5.0, 3.5, 60.0, 2.5, 0.5, 12.0], [30, 12]),
            vector("everything missing", [math.nan] * len(NUMBERS), [1, 0]),
        ],
        golden_events=record_golden_events(usecase.features, usecase.topics, log),
    )
