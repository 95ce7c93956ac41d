"""One point measured: its topic filled, a worker run over it, looked at four times a second."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from confluent_kafka.admin import AdminClient
from redis import Redis

from benchmarks.growth.feed import Feed, readings
from benchmarks.growth.model import ARTIFACTS, artifacts_of
from benchmarks.growth.points import Point
from benchmarks.growth.shape import TOPIC, make_usecase, written_usecase
from benchmarks.scrape import scrape
from demo.worker import Worker
from stream_app.local import create_topics

__all__ = ["Look", "Measured", "measure", "measured_of"]

_DEADLINE_SECONDS: Final = 1_800.0
_LOOK_SECONDS: Final = 0.25
_KEPT_LOOKS: Final = 60
_MODULE: Final = "generated_usecase"
#: One after the other, malformed records are no flood: what is measured is their cost.
_FLOOD_SHARE: Final = "1"


@dataclass(frozen=True)
class Look:
    """What a worker's metrics said."""

    seconds: float
    """Since the first look."""
    records: int
    """Done until then."""
    cpu: float
    """CPU seconds of all workers."""
    rss: float
    """Resident bytes of all workers."""
    at_work: int = 1
    """How many workers have done anything yet."""


@dataclass(frozen=True)
class Measured:
    """What a point came to."""

    events: int
    """Of the window that rate and CPU are of."""
    rate: float
    """Events a second."""
    cpu_us: float
    """CPU microseconds an event, of all workers."""
    peak_mib: float
    """Resident memory at its highest, of all workers."""
    memory_growth: float
    """Memory in the last fifth of the window over that in its second fifth, medians; 0: too short."""
    looks: list[tuple[float, int, float]]
    """Some sixty of them: seconds, records done, MiB."""


def measure(
    kafka: str, redis: str, point: Point, number: int, *, artifacts: Path = ARTIFACTS
) -> Measured:
    """Run a worker over a topic of the point's own; `number` tells the points of a run apart.

    `kafka`: bootstrap servers; `redis`: a URL of a database that is emptied. `artifacts`: where model
    versions are kept.
    """
    usecase = make_usecase(point.shape)
    versions = artifacts_of(point.shape, artifacts)
    _make_anew(
        kafka,
        {
            TOPIC: point.shape.partitions,
            usecase.predictions_topic: 8,
            usecase.dead_letters_topic: 8,
        },
    )
    Redis.from_url(redis).flushall()
    filled = point.entities if not point.rate else 0
    total = filled + point.events
    events = readings(
        total,
        meters=point.entities,
        payload_bytes=point.payload_bytes,
        malformed=point.malformed,
    )
    feed = Feed(kafka, TOPIC)
    if not point.rate:
        feed.write(events)
    with tempfile.TemporaryDirectory() as folder, _importable(folder, point):
        worker = Worker(
            f"{_MODULE}:usecase",
            application=f"growth-{number}",
            options=("--workers", str(point.workers)) if point.workers > 1 else (),
            bootstrap_servers=kafka,
            redis_url=redis,
            artifacts=str(versions),
            flood_poison_share=_FLOOD_SHARE,
        )
        with worker:
            worker.start()
            if point.rate:
                looks = _looks_while_fed(worker, feed, events, point)
            else:
                looks = list(_looks(worker, total))
            worker.stop()
    return measured_of(looks, filled, total, point.workers)


@contextmanager
def _importable(folder: str, point: Point) -> Iterator[None]:
    """While it lasts, workers that are made can import the module of the point's use case."""
    (Path(folder) / f"{_MODULE}.py").write_text(written_usecase(point.shape))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, before]))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _looks_while_fed(
    worker: Worker, feed: Feed, events: Iterator[tuple[bytes, bytes]], point: Point
) -> list[Look]:
    """A second of the stream is sent first, and waited for: the start is no part of the soak."""
    first = feed.write(islice(events, round(point.rate)))
    list(_looks(worker, first))
    feeding = threading.Thread(target=feed.write_paced, args=(events, point.rate), daemon=True)
    feeding.start()
    looks = list(_looks(worker, point.events))
    feeding.join()
    return looks


def _looks(worker: Worker, total: int) -> Iterator[Look]:
    """What the worker says, until it has done `total` records; raises `SystemExit` where it does not."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < _DEADLINE_SECONDS:
        worker.check()
        found = scrape(worker.address)
        if found is not None and found.records:
            yield Look(time.perf_counter() - begun, *found)
            if found.records >= total:
                return
        time.sleep(_LOOK_SECONDS)
    raise SystemExit(f"the worker did not do {total:,} records in {_DEADLINE_SECONDS:g} s")


def measured_of(looks: Sequence[Look], filled: int, total: int, workers: int = 1) -> Measured:
    """Rate and CPU from the first look past `filled` records, all workers at work, to the last before the end.

    The look that saw the end came when nothing was left to do, up to a quarter of a second late; it is
    taken only where there is no other.
    """
    window = [look for look in looks if filled <= look.records < total and look.at_work >= workers]
    if len(window) < 3:
        if workers > 1:
            raise SystemExit(f"{workers} workers were at work together for too short a time")
        window = [look for look in looks if look.records >= filled] or list(looks)
        window = window if len(window) > 1 else list(looks)
    first, last = window[0], window[-1]
    events = last.records - first.records
    seconds = last.seconds - first.seconds
    if not events or not seconds:
        raise SystemExit(f"too few events to measure: all {total:,} were done between two looks")
    fifth = len(window) // 5
    growth = 0.0
    if fifth >= 4:
        early = _median([look.rss for look in window[fifth : 2 * fifth]])
        growth = _median([look.rss for look in window[-fifth:]]) / early
    every = max(1, len(looks) // _KEPT_LOOKS)
    return Measured(
        events=events,
        rate=round(events / seconds, 1),
        cpu_us=round((last.cpu - first.cpu) / events * 1e6, 2),
        peak_mib=round(max(look.rss for look in looks) / 2**20, 1),
        memory_growth=round(growth, 3),
        looks=[
            (round(look.seconds, 2), look.records, round(look.rss / 2**20, 1))
            for look in looks[::every]
        ],
    )


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _make_anew(bootstrap: str, topics: Mapping[str, int]) -> None:
    """Empty topics of these numbers of partitions, whatever was there."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    there = [name for name in topics if name in admin.list_topics(timeout=10).topics]
    if there:
        for future in admin.delete_topics(there, operation_timeout=30).values():
            future.result()
        deadline = time.monotonic() + 30
        while any(name in admin.list_topics(timeout=10).topics for name in there):
            if time.monotonic() > deadline:
                raise SystemExit("a topic is still there 30 s after it was deleted")
            time.sleep(0.05)
    create_topics(bootstrap, topics)
