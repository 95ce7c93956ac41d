"""Which partitions of a group are stopped, as their committed offsets tell whoever asks from outside."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from stream_app.config.settings import Settings
from stream_app.dead_letters.ensured_topic import ensure_topic
from stream_app.dead_letters.resolutions import resolutions_topic
from stream_app.errors import ServiceAwayError
from stream_app.features.usecase import UseCase
from stream_app.flood.resume_orders import ResumeOrder, give_order
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.group_offsets import Committed
from stream_app.records.flood_note import FloodNote, flood_note
from stream_app.records.places import PartitionId

__all__ = ["Standing", "find_standing", "flood_notes", "resume", "wait_until_heard"]

_LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Standing:
    """A partition that is stopped, or whose bad run is dead-lettered at a limited rate."""

    partition: PartitionId
    topic_id: str
    note: FloodNote
    end: int
    """Where its log ends now."""

    @property
    def is_stopped(self) -> bool:
        """Whether nothing of it is taken."""
        return self.note.kind == "stopped"

    @property
    def waiting(self) -> int:
        """How many offsets lie behind the record at which it is stopped, that one included."""
        return max(0, self.end - self.note.offset) if self.is_stopped else 0


def find_standing(brokers: Brokers, usecase: UseCase) -> list[Standing]:
    """The partitions of the use case's topics that do not stand as usual.

    Raises `ServiceAwayError`, and `RefusedError` for a topic that is unknown.
    """
    topics = brokers.topics([topic.name for topic in usecase.topics])
    partitions = [each for topic in topics.values() for each in topic.partition_ids]
    notes = flood_notes(brokers, brokers.committed(partitions))
    ends = brokers.ends(notes) if notes else {}
    return [
        Standing(each, topics[each.topic].topic_id, notes[each], ends[each])
        for each in sorted(notes)
    ]


def flood_notes(
    brokers: Brokers, committed: Mapping[PartitionId, Committed]
) -> dict[PartitionId, FloodNote]:
    """What is noted beside committed offsets of partitions that do not stand as usual.

    A note of another topic of the same name is none, nor is that of a stop or a bad run which was
    passed. Raises as `Brokers.topics` does.
    """
    noted = {
        each: note
        for each, found in committed.items()
        if (note := flood_note(found.metadata)) is not None and note.holds_at(found.offset)
    }
    topics = brokers.topics({each.topic for each in noted}) if noted else {}
    return {
        each: note
        for each, note in noted.items()
        if committed[each].is_of(topics[each.topic].topic_id)
    }


def resume(
    settings: Settings,
    usecase: UseCase,
    application: str,
    brokers: Brokers,
    chosen: Sequence[Standing],
    *,
    by: str,
    note: str,
) -> None:
    """Say to whichever workers hold them that stopped partitions are to go on.

    What is refused of the records that are there now is dead-lettered at the limited rate. Raises
    `ConfigurationError` for a right on the topic of resolutions that is missing.
    """
    topic = resolutions_topic(settings, application)
    ensure_topic(settings, brokers, topic, usecase.dead_letters_topic)
    for each in chosen:
        order = ResumeOrder(
            topic=each.partition.topic,
            topic_id=each.topic_id,
            partition=each.partition.number,
            offset=each.note.offset,
            until=max(each.end, each.note.offset + 1),
            at=time.time(),
            by=by,
            note=note,
        )
        give_order(settings, topic, order)


def wait_until_heard(
    look: Callable[[], Sequence[Standing]], chosen: Collection[Standing], seconds: float
) -> list[Standing]:
    """Wait until no partition is stopped any more where it was; return those that still are."""
    deadline = time.monotonic() + seconds
    left = {(each.partition, each.note) for each in chosen}
    while left and time.monotonic() < deadline:
        time.sleep(min(_LOOK_SECONDS, max(0.0, deadline - time.monotonic())))
        with suppress(ServiceAwayError):
            left &= {(each.partition, each.note) for each in look()}
    return [each for each in chosen if (each.partition, each.note) in left]
