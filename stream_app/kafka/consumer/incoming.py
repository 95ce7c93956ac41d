"""What a poll brought: records into the chunk, and what else is to be known of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from confluent_kafka import Consumer, KafkaError, TopicPartition

from stream_app.kafka.consumer.assignment import Assignment
from stream_app.kafka.consumer.error_events import ConsumerErrors
from stream_app.kafka.consumer.start_positions import StartPositions
from stream_app.kafka.errors import is_end_of_partition, is_out_of_log
from stream_app.kafka.leader_epochs import LeaderEpochs
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.records.chunk import Chunk
from stream_app.records.partition import Partition
from stream_app.records.record import Record

__all__ = ["Incoming", "Taken"]


class Taken(NamedTuple):
    """How much a poll brought."""

    messages: int
    """Records and events."""
    left: int
    """Records behind them in the log, as far as the brokers have told: of the partitions that records came
    of. Transaction markers and what compaction removed are counted too."""


class Incoming:
    """Fills one chunk after the other; every call is made on the client thread."""

    def __init__(
        self,
        assignment: Assignment,
        positions: StartPositions,
        tracker: OffsetTracker,
        errors: ConsumerErrors,
    ) -> None:
        self._assignment = assignment
        self._positions = positions
        self._tracker = tracker
        self._errors = errors
        self._known_ends: WeakKeyDictionary[Partition, int] = WeakKeyDictionary()
        """Where the newest end of each partition is that a chunk told."""
        self.chunk = Chunk()
        """The one that is filled now."""

    def take(self, consumer: Consumer, messages: Iterable[Any]) -> Taken:
        """Put records into the chunk, and deal with events.

        A message's headers are made objects of, or let go of, before the next one is asked for.
        Raises what `ConsumerErrors.take` and `StartPositions.find_again` do, and `messages`.
        """
        chunk = self.chunk
        first: dict[Partition, Record] = {}
        last: dict[Partition, Any] = {}
        ended: dict[Partition, int] = {}
        assigned: Callable[[str, int], Any] = self._assignment.get
        append = chunk.records.append
        taken: list[Any] = []
        for message in messages:
            taken.append(message)
            partition = assigned(message.topic(), message.partition())
            if message.error() is not None:
                if self._is_end(consumer, partition, message):
                    ended[partition] = message.offset()
                continue
            if partition is None:
                continue
            record = Record.of(partition, message)
            append(record)
            if partition not in last:
                first[partition] = record
            last[partition] = message
            ended.pop(partition, None)
        holds = self._assignment.holds
        if not all(map(holds, (*last, *ended))):
            # Given away while more was asked for.
            chunk.records = [r for r in chunk.records if holds(r.partition)]
            last = {p: message for p, message in last.items() if holds(p)}
            ended = {p: offset for p, offset in ended.items() if holds(p)}
        # What an earlier poll told of these is not so any more.
        chunk.ended = [p for p in chunk.ended if p not in last]
        left = 0
        for partition, message in last.items():
            left += self._consumed(consumer, partition, first[partition], message)
            epochs = self._tracker.notes[partition].epochs
            if message.leader_epoch() != epochs.newest:
                _note_epochs(epochs, partition, taken)
            epochs.last_offset = message.offset()
        for partition, offset in ended.items():
            self._tracker.at_end(partition, offset)
            self._ended(partition, offset)
        self._errors.delivered((*last, *ended))
        return Taken(len(taken), left)

    def rewound(self, partition: Partition, offset: int) -> None:
        """A partition is read again from `offset` on: what came of it after that is forgotten."""
        chunk = self.chunk
        chunk.records = [r for r in chunk.records if r.partition is not partition]
        chunk.ended = [p for p in chunk.ended if p is not partition]
        chunk.rewound.append(partition)
        self._known_ends.pop(partition, None)
        self._tracker.notes[partition].epochs.rewind(offset)
        self._tracker.read_again(partition, offset)

    def _consumed(self, consumer: Consumer, partition: Partition, first: Record, last: Any) -> int:
        """Note what came of a partition in a poll, its first record and its last message; return what is left."""
        known_at = time.time() if first.timestamp is None else first.timestamp
        self._tracker.consumed(partition, last.offset(), known_at)
        # The end-of-partition event comes with the next answer of the broker, which it may hold
        # back for fetch.wait.max.ms. The high watermark of this answer tells it now, except behind
        # transaction markers and compaction: for those there is the event.
        place = TopicPartition(partition.topic, partition.number)
        _, high = consumer.get_watermark_offsets(place, cached=True)
        left: int = high - last.offset() - 1
        if left == 0:
            self._ended(partition, high)
        return max(0, left)  # which is not known before the first answer

    def _ended(self, partition: Partition, offset: int) -> None:
        """Tell of an end once: a chunk of its own for what is known would wake up every thread."""
        if self._known_ends.get(partition) != offset:
            self._known_ends[partition] = offset
            self.chunk.ended.append(partition)

    def _is_end(self, consumer: Consumer, partition: Partition | None, message: Any) -> bool:
        """Whether a partition of ours is at its end; other events are dealt with."""
        error: KafkaError = message.error()
        if is_end_of_partition(error):
            return partition is not None
        if not is_out_of_log(error):
            self._errors.take(message)
        elif partition is not None:
            # What was to be read next is no longer in the log.
            found = self._positions.find_again(partition, message.offset(), error.str())
            self._assignment.begin_again(consumer, partition, found)
        return False


def _note_epochs(epochs: LeaderEpochs, partition: Partition, messages: Sequence[Any]) -> None:
    """A leader was elected between records of a poll: find the first one it wrote."""
    place = partition.topic, partition.number
    for message in messages:
        if message.error() is None and (message.topic(), message.partition()) == place:
            epochs.add(message.offset(), message.leader_epoch())
