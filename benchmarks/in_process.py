"""The work alone: align, decode, state, score and encode on one thread, without Kafka or Redis."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from features.flights.data.year import Record as Event
from stream_app.alignment.assembly import make_align_stage
from stream_app.alignment.record_clock import RecordClock
from stream_app.config.settings import Settings
from stream_app.features.stores import MemoryStore, Source
from stream_app.features.usecase import UseCase
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.models import load_model
from stream_app.observer.observer import Observer
from stream_app.predictor.assembly import make_predictor
from stream_app.records.chunk import Chunk
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId
from stream_app.records.record import Record
from stream_app.records.start_position import StartPosition
from stream_app.telemetry.metrics import Metrics
from stream_app.waiting.retry import Retry
from stream_app.wire.assembly import make_emitters
from stream_app.wire.outgoing import OutgoingRecords
from stream_app.worker.listeners import metrics_listeners
from stream_app.worker.worker import GC_THRESHOLD

__all__ = ["Work", "work_alone", "work_on"]


class Work(NamedTuple):
    """What a contender took."""

    events: int
    wall_seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.wall_seconds

    @property
    def cpu_microseconds(self) -> float:
        """CPU time an event."""
        return self.cpu_seconds / self.events * 1e6


def work_alone(
    workload: list[Event], usecase: UseCase, artifacts: Path, chunk: int = 4_096
) -> Work:
    """Run the stages of a worker over the workload; producing and Redis are left out."""
    partitions, records = _as_consumed(workload, usecase)
    chunks = [
        Chunk(records=records[start : start + chunk], ended=partitions)
        for start in range(0, len(records), chunk)
    ]
    return work_on(partitions, chunks, usecase, artifacts)


def work_on(
    partitions: Sequence[Partition],
    chunks: Sequence[Chunk],
    usecase: UseCase,
    artifacts: Path,
    on_finished: Callable[[int], None] = lambda _: None,
) -> Work:
    """Run the stages over what a consumer polled; `on_finished` is told how many records each batch had."""
    models = [
        load_model(artifacts / name, usecase.features, usecase.topics) for name in usecase.models
    ]
    observer = Observer(metrics_listeners(Metrics()))
    settings = Settings()
    predictor = make_predictor(
        settings,
        usecase,
        models,
        MemoryStore(usecase.features),
        Retry(initial_seconds=0.1, max_seconds=1.0, observer=observer),
        observer,
    )
    clock = RecordClock(60.0, observer)
    align = make_align_stage(settings, observer, pause=lambda _: None, resume=lambda _: None)
    outgoing = OutgoingRecords(make_emitters(settings, usecase, "champion/1").in_order)
    tracker = OffsetTracker()
    predictor.state.register(dict.fromkeys(partitions, 0))
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    started, cpu = time.perf_counter(), time.process_time()
    align.add(Chunk(assigned=[StartPosition(p, 0, "nobody") for p in partitions]))
    for polled in chunks:
        clock(polled.records)
        align.add(polled)
        for released in align.batches(predictor.decode):
            items, ends = tracker.admit(released)
            batch = predictor.batch(items, ends)
            predictor.answer(batch)
            outgoing(batch)
            predictor.state.write(batch)
            tracker.finished(batch)
            on_finished(len(items))
    events = sum(len(polled.records) for polled in chunks)
    return Work(events, time.perf_counter() - started, time.process_time() - cpu)


def _as_consumed(workload: list[Event], usecase: UseCase) -> tuple[list[Partition], list[Record]]:
    counts = {topic.name: topic.partitions for topic in usecase.topics}
    ids = [PartitionId(name, number) for name, count in counts.items() for number in range(count)]
    partitions = {
        each: Partition.among(list(counts), each, Source("cluster", *each)) for each in ids
    }
    offsets = dict.fromkeys(partitions.values(), 0)
    now = time.time() - len(workload) * 1e-3
    records = []
    for position, event in enumerate(workload):
        partition = partitions[PartitionId(event.topic, crc32(event.key) % counts[event.topic])]
        offset = offsets[partition]
        offsets[partition] = offset + 1
        records.append(Record(partition, offset, now + position * 1e-3, event.key, event.value))
    return list(partitions.values()), records
