"""Where an assigned partition is read from: decided here, never left to `auto.offset.reset`.

- An offset of ours is gone on from. One that the log no longer reaches back to is reported with
  the exact range, and the worker goes on behind the gap or stops, by setting.
- A partition without a committed offset starts at its beginning: it may have been added while
  nobody looked. Only a group that has committed nothing at all may start at the end, by setting.
- An offset committed for an earlier topic of the same name means nothing.
- An offset behind the end of the log means that the log lost records it had acknowledged; what
  should become of that is for a person to say. So it is where the log before the offset is another
  one than was read: librdkafka asks the brokers, by the leader epoch committed beside the offset.
- No offset where the state holds records means that the group's offsets expired. It is no new group.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream_app.errors import FatalError, ServiceAwayError
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.errors import failure, is_before_assignment, tells_of_truncation
from stream_app.kafka.group_offsets import Committed, committed_offsets
from stream_app.kafka.offset_metadata import as_committed, markers_of
from stream_app.kafka.topic_ids import TopicIds
from stream_app.observer.events import RecordsGone, RecordsSkipped
from stream_app.observer.observer import Observer
from stream_app.records.flood_note import flood_note
from stream_app.records.log_fields import about, about_all
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId, id_of
from stream_app.records.start_count import failed_starts
from stream_app.records.start_position import StartPosition
from stream_app.text.foreign import bounded
from stream_app.waiting.retry import Retry

__all__ = ["StartPositions"]

log = logging.getLogger(__name__)

_REQUEST_SECONDS = 10.0
_LOST = (
    "the brokers lost records they had acknowledged. Set the group's offset for it "
    "(kafka-consumer-groups.sh --reset-offsets), or give `application` another name"
)
_PROBE_SECONDS = 0.005
_NAMED_CHARACTERS = 2_000
_WAITS = 10
"""How often another worker is waited for to begin a new group at the end of its topics."""


class _Extent(NamedTuple):
    """What a log holds."""

    start: int
    """Its first offset."""
    end: int
    """The offset after its last one."""


class StartPositions:
    """Finds the position of partitions; every call is made on the client thread."""

    def __init__(
        self,
        brokers: Brokers,
        sources: TopicIds,
        retry: Retry,
        *,
        starts_at: Literal["beginning", "end"],
        on_gone: Literal["continue", "stop"],
        applied: Callable[[Sequence[Partition]], Sequence[int]],
        observer: Observer,
    ) -> None:
        """`applied` says through which offset the state holds each partition's records; -1 for none."""
        self._brokers = brokers
        self._topic_ids = sources
        self._retry = retry
        self._starts_at = starts_at
        self._on_gone = on_gone
        self._applied = applied
        self._observer = observer
        self._waits = 0

    def find(self, consumer: Consumer, assigned: Sequence[PartitionId]) -> Sequence[StartPosition]:
        """Identify the partitions that were assigned and say where each starts.

        Waits while Kafka is away. Raises `FatalError` where going on needs a person's word.
        """
        return self._retry("kafka", lambda: self._find(consumer, assigned))

    def compare_logs(self, consumer: Consumer, starts: Sequence[StartPosition]) -> None:
        """Let librdkafka ask the brokers whether the logs before the positions are what was read.

        librdkafka does so only for a position that is sought, not for one that is assigned; what it
        finds out comes as an event. Call this after partitions were assigned and before the next
        poll.
        """
        for start in starts:
            if start.leader_epoch is not None:
                partition = start.partition
                place = TopicPartition(
                    partition.topic,
                    partition.number,
                    start.offset,
                    leader_epoch=start.leader_epoch,
                )
                self._retry("kafka", partial(_seek, consumer, place))

    def seek(self, consumer: Consumer, partition: Partition, offset: int) -> None:
        """Let an assigned partition be read from `offset` on, with the next poll."""
        place = TopicPartition(partition.topic, partition.number, offset)
        self._retry("kafka", partial(_seek, consumer, place))

    def find_again(self, partition: Partition, position: int | None, why: str) -> int:
        """Where to go on when the log no longer holds `position`.

        `why`: librdkafka's text, which alone tells that the log was truncated. Raises `FatalError`
        where going on needs a person's word.
        """

        def look() -> _Extent:
            self._topic_ids.check([partition])
            return self._look_at_logs([partition])[partition]

        extent = self._retry("kafka", look)
        if position is None or tells_of_truncation(why):
            raise FatalError(
                f"{partition} no longer holds what was read of it: {_LOST}. librdkafka says: {why}"
            )
        return self._within_log(partition, extent, position)

    def _find(self, consumer: Consumer, assigned: Sequence[PartitionId]) -> Sequence[StartPosition]:
        partitions = self._topic_ids.identify(assigned)
        extents = self._look_at_logs(partitions)
        committed = committed_offsets(consumer, assigned, _REQUEST_SECONDS)
        starts = [
            self._start(partition, extents[partition], committed.get(id_of(partition)))
            for partition in partitions
        ]
        new = [start.partition for start in starts if start.committed_by == "nobody"]
        if self._starts_at == "end" and new:
            at_end = self._start_at_end(consumer, new)
            starts = [at_end.get(start.partition, start) for start in starts]
        for start in starts:
            if start.committed_by == "nobody" and start.offset:
                partition = start.partition
                self._observer.tell(RecordsGone(partition, start.offset))
                log.warning(
                    "gone by retention: %s begins at offset %d, and the group with it; what was "
                    "before was deleted before the group read it", partition, start.offset,
                    extra=about(partition, start.offset),
                )  # fmt: skip
        return starts

    def _start(
        self, partition: Partition, extent: _Extent, committed: Committed | None
    ) -> StartPosition:
        anew = StartPosition(partition, extent.start, "nobody", log_start=extent.start)
        if committed is None:
            return anew
        if not committed.is_of(partition.topic_id):
            log.warning(
                "%s is another topic than the one whose offset %d was committed: it starts "
                "at its beginning", partition, committed.offset,
                extra=about(partition, committed.offset),
            )  # fmt: skip
            return anew
        found = StartPosition(
            partition,
            self._within_log(partition, extent, committed.offset),
            "other" if committed.topic_id is None else "worker",
            log_start=extent.start,
        )
        flood = flood_note(committed.metadata)
        if found.offset != committed.offset:
            # All else that stands beside the offset is of another one.
            left = None if flood is None else flood.from_start(found.offset)
            return replace(found, flood=left)
        return replace(
            found,
            control_records=markers_of(committed.metadata),
            leader_epoch=committed.leader_epoch,
            failed_starts=failed_starts(committed.metadata),
            flood=flood,
        )

    def _start_at_end(
        self, consumer: Consumer, new: Sequence[Partition]
    ) -> dict[Partition, StartPosition]:
        """Of a group that has committed nothing at all, commit the ends of all partitions.

        One worker does, the one that holds the first partition of all, and in one request; the
        others wait for it a while, lest they take its commit for a sign that their own partitions
        were added later. Returns where those of `new` start that start at their ends.
        """
        everywhere = [
            PartitionId(topic, number)
            for topic, count in self._topic_ids.partitions().items()
            for number in range(count)
        ]
        mine = set(map(id_of, new))
        known = committed_offsets(consumer, everywhere, _REQUEST_SECONDS).keys()
        if known & mine:
            raise ServiceAwayError("kafka", "another worker has just begun the group")
        if known:
            return {}
        if everywhere[0] not in mine and self._waits < _WAITS:
            self._waits += 1
            raise ServiceAwayError("kafka", "another worker is to begin the group at the end")
        everyone = self._topic_ids.identify(everywhere)
        self._check_never_read(everyone)
        extents = self._look_at_logs(everyone)
        ends = {partition: extent.end for partition, extent in extents.items()}
        try:
            # Nothing stands beside these offsets: none of the partitions was begun.
            consumer.commit(offsets=as_committed(ends, {}), asynchronous=False)
        except KafkaException as error:
            raise failure(error.args[0], "committing the ends of the topics") from error
        log.warning(
            "the group has committed nothing yet: it starts at the end of its topics, and skips %s",
            bounded(", ".join(map(_span, everyone, extents.values())), _NAMED_CHARACTERS),
            extra=about_all((partition.topic, partition.number) for partition in extents),
        )
        for partition, extent in extents.items():
            self._observer.tell(RecordsSkipped(partition, extent.end - extent.start))
        by_id = {id_of(partition): extent for partition, extent in extents.items()}
        found = {}
        for partition in new:
            extent = by_id[id_of(partition)]
            found[partition] = StartPosition(
                partition, extent.end, "worker", log_start=extent.start
            )
        return found

    def _check_never_read(self, partitions: Sequence[Partition]) -> None:
        """Raise `FatalError` where the state shows that the group had been here before."""
        for partition, applied in zip(partitions, self._applied(partitions), strict=True):
            if applied >= 0:
                raise FatalError(
                    f"the group has no committed offsets, but the state holds records of "
                    f"{partition} through offset {applied}: its offsets expired "
                    "(offsets.retention.minutes of the brokers) or were deleted, and starts_at = "
                    "end would skip all that came since. Set the group's offsets to where they "
                    "were (kafka-consumer-groups.sh --reset-offsets), or give `application` "
                    "another name"
                )

    def _within_log(self, partition: Partition, extent: _Extent, position: int) -> int:
        if position > extent.end:
            raise FatalError(
                f"{partition} ends at offset {extent.end}, but the group is at {position}: {_LOST}"
            )
        if position >= extent.start:
            return position
        gone = extent.start - position
        self._observer.tell(RecordsGone(partition, gone))
        sentence = (
            f"gone by retention: {partition} offsets {position} to {extent.start - 1} "
            f"({gone}) were deleted before they were read"
        )
        if self._on_gone == "stop":
            raise FatalError(f"{sentence}. on_gone = continue goes on at offset {extent.start}.")
        log.error(
            "%s; going on at offset %d", sentence, extent.start, extra=about(partition, position)
        )
        return extent.start

    def _look_at_logs(self, partitions: Sequence[Partition]) -> dict[Partition, _Extent]:
        starts = self._brokers.starts(map(id_of, partitions))
        ends = self._brokers.ends(map(id_of, partitions))
        return {p: _Extent(starts[id_of(p)], ends[id_of(p)]) for p in partitions}


def _seek(consumer: Consumer, place: TopicPartition) -> None:
    deadline = time.monotonic() + _REQUEST_SECONDS
    while True:
        try:
            consumer.seek(place)
        except KafkaException as error:
            # The assignment takes effect on another thread, once those before it are over.
            if not is_before_assignment(error.args[0]) or time.monotonic() > deadline:
                raise failure(error.args[0], f"seeking {place.topic}[{place.partition}]") from error
            time.sleep(_PROBE_SECONDS)
        else:
            return


def _span(partition: Partition, extent: _Extent) -> str:
    if extent.start == extent.end:
        return f"nothing of {partition}"
    return f"{partition} {extent.start}-{extent.end - 1}"
