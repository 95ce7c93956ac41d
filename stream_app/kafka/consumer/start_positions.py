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
from functools import partial
from typing import Literal

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream_app.errors import FatalError, ServiceAwayError
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.errors import failure, is_before_assignment, tells_of_truncation
from stream_app.kafka.group_offsets import committed_offsets
from stream_app.kafka.offset_metadata import as_committed, markers_of
from stream_app.kafka.topic_ids import Sources
from stream_app.observer.events import RecordsGone, RecordsSkipped
from stream_app.observer.observer import Observer
from stream_app.records.leader_epochs import UNKNOWN
from stream_app.records.log_fields import about
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId, id_of
from stream_app.text.foreign import bounded
from stream_app.waiting.retry import Patience

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


class StartPositions:
    """Finds the position of partitions; every call is made on the client thread."""

    def __init__(
        self,
        brokers: Brokers,
        sources: Sources,
        patience: Patience,
        *,
        starts_at: Literal["beginning", "end"],
        on_gone: Literal["continue", "stop"],
        applied: Callable[[Sequence[Partition]], Sequence[int]],
        observer: Observer,
    ) -> None:
        """`applied` says through which offset the state holds each partition's records; -1 for none."""
        self._brokers = brokers
        self._sources = sources
        self._patience = patience
        self._starts_at = starts_at
        self._on_gone = on_gone
        self._applied = applied
        self._observer = observer
        self._waits = 0

    def find(self, consumer: Consumer, partitions: Sequence[Partition]) -> None:
        """Set where each partition starts, and what is known of the offset it starts at.

        Waits while Kafka is away. Raises `FatalError` where going on needs a person's word.
        """
        self._patience("kafka", lambda: self._find(consumer, partitions))

    def compare_logs(self, consumer: Consumer, partitions: Sequence[Partition]) -> None:
        """Let librdkafka ask the brokers whether the logs before the positions are what was read.

        An assigned position it does not look at, only one that is sought; what it finds out comes
        as an event. To be called when partitions were assigned, before they are polled.
        """
        for partition in partitions:
            epoch = partition.epochs.before(partition.start)
            if epoch != UNKNOWN:
                place = TopicPartition(
                    partition.topic, partition.number, partition.start, leader_epoch=epoch
                )
                self._patience("kafka", partial(_seek, consumer, place))

    def find_again(self, partition: Partition, position: int | None, why: str) -> int:
        """Where to go on when the log no longer holds `position`.

        `why`: librdkafka's text, which alone tells that the log was truncated. Raises `FatalError`
        where going on needs a person's word.
        """

        def look() -> None:
            self._sources.check([partition])
            self._look_at_log([partition])

        self._patience("kafka", look)
        if position is None or tells_of_truncation(why):
            raise FatalError(
                f"{partition} no longer holds what was read of it: {_LOST}. librdkafka says: {why}"
            )
        return self._within_log(partition, position)

    def _find(self, consumer: Consumer, partitions: Sequence[Partition]) -> None:
        self._sources.identify(partitions)
        self._look_at_log(partitions)
        committed = committed_offsets(consumer, map(id_of, partitions), _REQUEST_SECONDS)
        for partition in partitions:
            place = committed.get(id_of(partition))
            if place is None:
                _begin_anew(partition, partition.log_start)
                continue
            if not place.is_of(partition.topic_id):
                log.warning(
                    "%s is another topic than the one whose offset %d was committed: it starts "
                    "at its beginning", partition, place.offset,
                    extra=about(partition, place.offset),
                )  # fmt: skip
                _begin_anew(partition, partition.log_start)
                continue
            partition.is_new = False
            partition.set_by_hand = place.topic_id is None
            partition.start = self._within_log(partition, place.offset)
            moved = partition.start != place.offset
            if not moved:
                partition.epochs.begin(place.offset, place.leader_epoch)
                partition.markers = (place.offset - markers_of(place.metadata), place.offset)
            partition.starts.begin(partition.start, None if moved else place.metadata)
        new = [partition for partition in partitions if partition.is_new]
        if self._starts_at == "end" and new:
            self._start_at_end(consumer, new)
        for partition in partitions:
            if partition.is_new and partition.start:
                self._observer.tell(RecordsGone(partition, partition.start))
                log.warning(
                    "gone by retention: %s begins at offset %d, and the group with it; what was "
                    "before was deleted before the group read it", partition, partition.start,
                    extra=about(partition, partition.start),
                )  # fmt: skip

    def _start_at_end(self, consumer: Consumer, new: Sequence[Partition]) -> None:
        """Of a group that has committed nothing at all, commit the ends of all partitions.

        One worker does, the one that holds the first partition of all, and in one request; the
        others wait for it a while, lest they take its commit for a sign that their own partitions
        were added later.
        """
        everywhere = [
            PartitionId(topic, number)
            for topic, count in self._sources.partitions().items()
            for number in range(count)
        ]
        mine = set(map(id_of, new))
        known = committed_offsets(consumer, everywhere, _REQUEST_SECONDS).keys()
        if known & mine:
            raise ServiceAwayError("kafka", "another worker has just begun the group")
        if known:
            return
        if everywhere[0] not in mine and self._waits < _WAITS:
            self._waits += 1
            raise ServiceAwayError("kafka", "another worker is to begin the group at the end")
        everyone = [Partition(*each, 0) for each in everywhere]
        self._sources.identify(everyone)
        self._check_never_read(everyone)
        self._look_at_log(everyone)
        for partition in everyone:
            partition.starts.leave_in_order()  # it is no start of theirs
        ends = {partition: partition.log_end for partition in everyone}
        try:
            consumer.commit(offsets=as_committed(ends), asynchronous=False)
        except KafkaException as error:
            raise failure(error.args[0], "committing the ends of the topics") from error
        log.warning(
            "the group has committed nothing yet: it starts at the end of its topics, and skips %s",
            bounded(", ".join(map(_span, everyone)), _NAMED_CHARACTERS),
        )
        for partition in everyone:
            skipped = partition.log_end - partition.log_start
            self._observer.tell(RecordsSkipped(partition, skipped))
        by_id = {id_of(partition): partition for partition in everyone}
        for partition in new:
            _begin_anew(partition, by_id[id_of(partition)].log_end)
            partition.is_new = False

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

    def _within_log(self, partition: Partition, position: int) -> int:
        if position > partition.log_end:
            raise FatalError(
                f"{partition} ends at offset {partition.log_end}, but the group is at {position}: "
                f"{_LOST}"
            )
        if position >= partition.log_start:
            return position
        gone = partition.log_start - position
        self._observer.tell(RecordsGone(partition, gone))
        sentence = (
            f"gone by retention: {partition} offsets {position} to {partition.log_start - 1} "
            f"({gone}) were deleted before they were read"
        )
        if self._on_gone == "stop":
            raise FatalError(
                f"{sentence}. on_gone = continue goes on at offset {partition.log_start}."
            )
        log.error(
            "%s; going on at offset %d",
            sentence,
            partition.log_start,
            extra=about(partition, position),
        )
        return partition.log_start

    def _look_at_log(self, partitions: Sequence[Partition]) -> None:
        starts = self._brokers.starts(map(id_of, partitions))
        ends = self._brokers.ends(map(id_of, partitions))
        for partition in partitions:
            partition.log_start = starts[id_of(partition)]
            partition.log_end = ends[id_of(partition)]


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


def _span(partition: Partition) -> str:
    if partition.log_start == partition.log_end:
        return f"nothing of {partition}"
    return f"{partition} {partition.log_start}-{partition.log_end - 1}"


def _begin_anew(partition: Partition, start: int) -> None:
    partition.is_new = True
    partition.start = start
    partition.starts.begin(start, None)
