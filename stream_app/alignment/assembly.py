"""Puts together what dates a use case's records and what brings them into order."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stream_app.alignment.align import AlignStage
from stream_app.alignment.record_clock import ClockDoubt, RecordClock
from stream_app.config.settings import Settings
from stream_app.features.usecase import UseCase
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.records_before import timestamps_before
from stream_app.observer.observer import Observer
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId, id_of
from stream_app.records.record import Record
from stream_app.waiting.retry import Retry

__all__ = ["make_align_stage", "make_record_clock"]


def make_record_clock(
    settings: Settings, usecase: UseCase, brokers: Brokers, retry: Retry, observer: Observer
) -> RecordClock:
    """What dates a use case's records."""

    def before(records: Sequence[Record]) -> list[float]:
        firsts: dict[PartitionId, int] = {}
        for record in records:
            firsts.setdefault(id_of(record.partition), record.offset)
        return timestamps_before(brokers, firsts)

    doubt = ClockDoubt(usecase.times, retry, before) if settings.clock_doubt == "stop" else None
    return RecordClock(settings.clock_ahead_seconds, observer, doubt=doubt)


def make_align_stage(
    settings: Settings,
    observer: Observer,
    *,
    pause: Callable[[list[Partition]], None],
    resume: Callable[[list[Partition]], None],
) -> AlignStage:
    """The stage align of a worker; `pause` and `resume` are its consumer's."""
    return AlignStage(
        enabled=settings.alignment,
        grace_seconds=settings.alignment_grace_seconds,
        wait_seconds=settings.alignment_wait_seconds,
        held_bytes_per_partition=settings.held_bytes_per_partition,
        held_bytes_total=settings.held_bytes_total - settings.queue_bytes,
        batch_max_records=settings.batch_max_records,
        batch_max_bytes=settings.batch_max_bytes,
        pause=pause,
        resume=resume,
        observer=observer,
    )
