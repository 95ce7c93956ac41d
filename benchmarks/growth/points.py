"""The points of a run: which variables there are, and which values each of them takes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from benchmarks.growth.shape import MLP, Shape

__all__ = ["VARIABLES", "Point", "Variable", "points"]


@dataclass(frozen=True)
class Point:
    """One measurement: what is varied, and everything that is not."""

    variable: str
    value: float
    """Where it lies on the variable's axis."""
    events: int = 60_000
    """Measured, after those that fill the store."""
    shape: Shape = field(default_factory=Shape)
    entities: int = 10_000
    payload_bytes: int = 300
    malformed: float = 0.0
    workers: int = 1
    rate: float = 0.0
    """Events a second that are sent while the worker runs; 0: all of them lie there before it starts."""


@dataclass(frozen=True)
class Variable:
    """What is varied, and what of it should leave the cost of an event as it is."""

    title: str
    axis: str
    flat: bool
    """Whether nothing says that an event should cost more."""
    why: str
    """Why it should be flat, or what costs more where it is not."""
    unit: str = ""
    """Of a step on the axis, where the cost grows with it."""
    step: float = 1.0


VARIABLES: Final = {
    "partitions": Variable(
        "Partitions of the topic", "partitions", True, "a worker takes them in few, large answers"
    ),
    "entities": Variable(
        "Entities in the store", "entities", True, "a state is found by its key, however many there are"
    ),
    "payload": Variable(
        "Bytes of a value", "bytes", False, "every byte is fetched, parsed and held", "KB", 1_000
    ),
    "columns": Variable(
        "Columns of the model", "columns", False, "each is evaluated, checked and scored", "column"
    ),
    "trees": Variable(
        "Trees of the model", "trees", False, "each is walked by ONNX Runtime", "tree"
    ),
    "malformed": Variable(
        "Share of malformed records",
        "share",
        False,
        "a refused record is explained, and its dead letter carries it whole",
        "per cent",
        0.01,
    ),
    "workers": Variable(
        "Workers of one group", "workers", True, "each takes its partitions; they share cores and services"
    ),
    "backlog": Variable("Records that wait", "records", True, "what is held is bounded"),
    "soak": Variable("A steady stream", "seconds", True, "nothing is kept for longer than it is needed"),
}  # fmt: skip

_MOST_BYTES: Final = 400_000_000
"""Of one point's values: fewer events where they are large."""


def points(*, quick: bool, only: Iterable[str] = ()) -> list[Point]:
    """All points, variable by variable; `quick`: few of each variable."""
    wanted = set(only) or set(VARIABLES)
    if unknown := wanted - set(VARIABLES):
        raise ValueError(f"no variable {', '.join(sorted(unknown))}: {', '.join(VARIABLES)}")
    return [point for point in _all(quick=quick) if point.variable in wanted]


def _all(*, quick: bool) -> Iterable[Point]:
    for count in (1, 16, 256) if quick else (1, 4, 16, 64, 128, 256):
        yield Point("partitions", count, shape=Shape(partitions=count))
    for count in (1_000, 100_000, 1_000_000) if quick else (10**3, 10**4, 10**5, 10**6, 10**7):
        yield Point("entities", count, entities=count)
    for size in (300, 3_000, 32_000) if quick else (300, 1_000, 3_000, 10_000, 32_000):
        events = min(60_000, _MOST_BYTES // size)
        yield Point("payload", size, events, payload_bytes=size)
    for count in (8, 64, 512) if quick else (8, 16, 32, 64, 128, 256, 512):
        yield Point("columns", count, shape=Shape(columns=count))
    for count in (1, 100, 1_000) if quick else (1, 10, 100, 300, 1_000):
        yield Point("trees", count, shape=Shape(trees=count))
    yield Point("trees", MLP, shape=Shape(trees=MLP))
    for share in (0.0, 0.1, 0.5) if quick else (0.0, 0.01, 0.1, 0.25, 0.5):
        yield Point("malformed", share, malformed=share)
    for count in (1, 2, 4):
        yield Point("workers", count, 400_000, workers=count)
    for count in (100_000, 1_000_000) if quick else (100_000, 1_000_000, 5_000_000):
        yield Point("backlog", count, count)
    seconds, rate = (60, 5_000.0) if quick else (600, 5_000.0)
    yield Point("soak", seconds, round(seconds * rate), rate=rate)
