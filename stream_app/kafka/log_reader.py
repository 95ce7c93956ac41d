"""Reads ranges of offsets of logs, as a stream of few records at once.

A log has offsets without a record: markers of transactions, what compaction took, what retention
removed while it was read. The reader tells them, so whoever reads knows at any moment through which
offset it has read each partition. Leaders may change meanwhile; that librdkafka sees to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream_app.errors import FatalError, ServiceAwayError
from stream_app.kafka.errors import Kind, failure, is_end_of_partition, is_out_of_log, verdict
from stream_app.kafka.group_offsets import without_membership
from stream_app.kafka.slices import messages
from stream_app.records.places import PartitionId

__all__ = [
    "NO_END",
    "STALLED_SECONDS",
    "LogReader",
    "NoRecord",
    "OnError",
    "Step",
    "raise_unless_passing",
    "read_ranges",
    "reading_properties",
]

NO_END: Final = 2**63 - 1
"""The end of a range that goes on as long as the log does."""

_RECORDS: Final = 16
"""Records given at once: the headers of all are unpacked, and of one they may be 60,000 tiny ones."""
_POLL_SECONDS: Final = 0.5
_REQUEST_SECONDS: Final = 10.0
STALLED_SECONDS: Final = 60.0
"""Longer than brokers let a transaction stand that nobody goes on with, as the worker sets it."""


class NoRecord(Enum):
    """Why there is no record at offsets."""

    PASSED = "passed"
    """Nothing but markers, or what compaction left out, is before the end of the range."""
    END = "end"
    """The log ends here, or an open transaction begins; there may be more later."""
    REMOVED = "removed"
    """Retention removed them while the log was read."""


class Step(NamedTuple):
    """Offsets of a partition that are read: from `first` up to and without `end`."""

    partition: PartitionId
    first: int
    end: int
    message: Any = None
    """The record at `end` - 1; the offsets before it have none."""
    why: NoRecord | None = None
    """Why there is no record."""


#: Told of an error that is no news of the log, the partition, and the offset to be read next.
OnError = Callable[[KafkaError, PartitionId | None, int], None]


def reading_properties(properties: Mapping[str, Any], group: str | None = None) -> dict[str, Any]:
    """librdkafka's properties of a consumer that reads logs. `group`: its name, never joined."""
    return {
        **without_membership(properties, group),
        "auto.offset.reset": "error",
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
    }


def raise_unless_passing(error: KafkaError, partition: PartitionId | None, offset: int) -> None:
    """Raise what `errors.failure` says, unless librdkafka tries again by itself."""
    if verdict(error).kind is not Kind.PASSING:
        doing = "reading the topics"
        if partition is not None:
            doing = f"reading {partition} from offset {offset} on"
        raise failure(error, doing) from KafkaException(error)


class LogReader:
    """Reads partitions from an offset up to another; every call is made by one thread."""

    def __init__(
        self,
        consumer: Consumer,
        *,
        check: Callable[[], None] = lambda: None,
        on_error: OnError = raise_unless_passing,
    ) -> None:
        """`consumer` has `reading_properties`. `check` is called before what came is given.

        `on_error` may raise; else librdkafka tries again.
        """
        self._consumer = consumer
        self._check = check
        self._on_error = on_error
        self._next: dict[PartitionId, int] = {}
        self._ends: dict[PartitionId, int] = {}

    @property
    def is_done(self) -> bool:
        """Whether all ranges are read to their ends."""
        return not self._ends

    @property
    def left(self) -> int:
        """Offsets of the ranges that are not read yet."""
        return sum(end - self._next[partition] for partition, end in self._ends.items())

    def is_reading(self, partition: PartitionId) -> bool:
        """Whether a range of the partition is not read to its end."""
        return partition in self._ends

    def next_offset(self, partition: PartitionId) -> int:
        """The offset up to which a partition is read."""
        return self._next[partition]

    def assign(self, ranges: Mapping[PartitionId, tuple[int, int]]) -> None:
        """Read these ranges, from the first offset up to and without the second, and no others."""
        self._next = {partition: first for partition, (first, _) in ranges.items()}
        self._ends = {partition: end for partition, (first, end) in ranges.items() if first < end}
        self._consumer.assign([TopicPartition(*each, self._next[each]) for each in self._ends])

    def read(self, most: int, seconds: float) -> Iterator[Step]:
        """What comes within `seconds`, of `most` messages at most; in offset order by partition.

        Raises `FatalError` where an offset is not in its log.
        """
        for message in messages(self._consumer, most, seconds, self._check):
            error, topic = message.error(), message.topic()
            partition = None if topic is None else PartitionId(topic, message.partition())
            if partition is not None and partition not in self._ends:
                continue  # of a range that is read, or of one before it
            if error is None:
                yield from self._record(partition, message)
            elif partition is not None and is_end_of_partition(error):
                yield self._advance(partition, message.offset(), why=NoRecord.END)
            elif partition is not None and is_out_of_log(error):
                yield from self._skip_removed(partition)
            else:
                self._on_error(error, partition, self._next.get(partition, -1) if partition else -1)

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def _record(self, partition: Any, message: Any) -> Iterator[Step]:
        offset = message.offset()
        if offset >= self._ends[partition]:
            yield self._advance(partition, offset, why=NoRecord.PASSED)
        elif offset >= self._next[partition]:
            yield self._advance(partition, offset + 1, message)

    def _advance(
        self, partition: PartitionId, offset: int, message: Any = None, why: NoRecord | None = None
    ) -> Step:
        first, end = self._next[partition], self._ends[partition]
        reached = self._next[partition] = min(max(first, offset), end)
        if reached == end:
            del self._ends[partition]
            self._consumer.incremental_unassign([TopicPartition(*partition)])
        return Step(partition, first, reached, message, why)

    def _skip_removed(self, partition: PartitionId) -> Iterator[Step]:
        """Go on where the log begins now."""
        at = self._next[partition]
        place = TopicPartition(*partition)
        try:
            start, _ = self._consumer.get_watermark_offsets(place, timeout=_REQUEST_SECONDS)
        except KafkaException as failed:
            self._on_error(failed.args[0], partition, at)
            start = at
        else:
            if start <= at:
                raise FatalError(
                    f"offset {at} is not in the log of {partition}, which begins at {start}: the "
                    "brokers lost what they had acknowledged"
                )
            yield self._advance(partition, start, why=NoRecord.REMOVED)
        if partition in self._ends:
            # From the same offset, too: librdkafka tells only once that it is not there.
            self._consumer.incremental_unassign([place])
            self._consumer.incremental_assign([TopicPartition(*partition, self._next[partition])])


def read_ranges(
    reader: LogReader,
    ranges: Mapping[PartitionId, tuple[int, int]],
    on_step: Callable[[Step], None] = lambda _: None,
    stalled_seconds: float = STALLED_SECONDS,
) -> Iterator[list[Any]]:
    """Yield the records of ranges, some at a time; an empty list after a while without.

    A range whose end lies in a transaction that is not decided yet is waited for. `on_step` is told
    every step. Raises `ServiceAwayError` when nothing has come for `stalled_seconds`.
    """
    reader.assign(ranges)
    moved_at = time.monotonic()
    while not reader.is_done:
        taken = []
        # The library waits until it has as many as it is asked for: no more than there can be.
        for step in reader.read(min(_RECORDS, reader.left), _POLL_SECONDS):
            if step.end > step.first:
                moved_at = time.monotonic()
            if step.message is not None:
                taken.append(step.message)
            on_step(step)
        if not reader.is_done and time.monotonic() - moved_at > stalled_seconds:
            open_ = {p: end for p, (_, end) in ranges.items() if reader.next_offset(p) < end}
            partition = min(open_)
            raise ServiceAwayError(
                "kafka",
                f"{partition} delivers nothing after offset {reader.next_offset(partition) - 1} "
                f"for {stalled_seconds:g} s, and its end is {open_[partition]}: its leader is "
                "away, or a transaction is open there.",
            )
        yield taken
