"""The same points without Kafka and Redis: the work alone, on one thread, in a process of its own.

What grows here is ours, the use case's or a library's; what grows only with services is between them and us.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Final

from benchmarks.growth.feed import readings
from benchmarks.growth.model import artifacts_of
from benchmarks.growth.points import Point
from benchmarks.growth.shape import TOPIC, make_usecase
from benchmarks.in_process import work_alone
from features.flights.data.year import Record

__all__ = ["VARIED", "alone"]

#: What can be varied where nothing is fetched, stored or shared.
VARIED: Final = ("partitions", "payload", "columns", "trees", "malformed")

_EVENTS: Final = 20_000
_MOST_BYTES: Final = 300_000_000


def alone(points: Sequence[Point]) -> Iterator[tuple[Point, float]]:
    """CPU microseconds an event at each point that can be had without services."""
    for point in points:
        if point.variable in VARIED:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                yield point, pool.submit(_cpu_us, point).result()


def _cpu_us(point: Point) -> float:
    usecase = make_usecase(point.shape)
    versions = artifacts_of(point.shape)
    events = readings(
        min(_EVENTS, _MOST_BYTES // point.payload_bytes),
        meters=point.entities,
        payload_bytes=point.payload_bytes,
        malformed=point.malformed,
    )
    workload = [Record(TOPIC, key, value, 0.0, 0.0) for key, value in events]
    return work_alone(workload, usecase, versions).cpu_microseconds
