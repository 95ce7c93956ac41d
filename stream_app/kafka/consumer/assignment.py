"""Which partitions are ours: taken, given away and lost inside `poll`, paused and resumed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from stream_app.kafka.consumer.offset_commits import OffsetCommits
from stream_app.kafka.consumer.rebalancing import Rebalancing
from stream_app.kafka.consumer.start_positions import StartPositions
from stream_app.kafka.offset_tracker import OffsetTracker, Settle
from stream_app.observer.events import Rebalanced
from stream_app.observer.observer import Observer
from stream_app.records.chunk import Chunk
from stream_app.records.log_fields import about_all
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId
from stream_app.records.start_position import StartPosition

__all__ = ["Assignment", "generation"]

log = logging.getLogger(__name__)


class Assignment:
    """The partitions held now. Every call but `partitions` is made on the client thread."""

    def __init__(
        self,
        *,
        rebalancing: Rebalancing,
        beside_transactions: bool,
        positions: StartPositions,
        tracker: OffsetTracker,
        settle: Settle,
        observer: Observer,
        revoke_seconds: Callable[[], float],
        in_order: Callable[[], bool],
        on_found: Callable[[Sequence[StartPosition]], None],
        refusal_seconds: float,
    ) -> None:
        """`revoke_seconds`: how long partitions being given away may take to finish.

        `on_found` may raise before partitions are taken, when it is known where they start.
        `in_order`: whether the worker ends its assignments because it was told to.
        """
        self._rebalancing = rebalancing
        self._positions = positions
        self._tracker = tracker
        self._settle = settle
        self._observer = observer
        self._revoke_seconds = revoke_seconds
        self._in_order = in_order
        self._on_found = on_found
        self._held: dict[tuple[str, int], Partition] = {}
        self._paused: set[Partition] = set()
        self._stopped: set[Partition] = set()
        """Paused whatever `resume` says, until `go_on`."""
        self._all_paused = False
        self._assigned: dict[Partition, StartPosition] = {}
        self._revoked: list[Partition] = []
        self.commits = OffsetCommits(
            tracker,
            observer,
            lambda *place: self._held.get(place),
            beside_transactions=beside_transactions,
            refusal_seconds=refusal_seconds,
        )

    @property
    def partitions(self) -> list[Partition]:
        """The partitions held now."""
        return list(self._held.values())

    def get(self, topic: str, number: int) -> Partition | None:
        """The assignment that a partition is held under now."""
        return self._held.get((topic, number))

    def holds(self, partition: Partition) -> bool:
        """Whether this very assignment has not ended."""
        return self._held.get((partition.topic, partition.number)) is partition

    @property
    def has_news(self) -> bool:
        """Whether partitions came or went since the last `tell`."""
        return bool(self._assigned or self._revoked)

    def tell(self, chunk: Chunk) -> None:
        """Put into a chunk what changed since the last one, and leave out records of what went."""
        chunk.assigned, self._assigned = list(self._assigned.values()), {}
        chunk.revoked, self._revoked = self._revoked, []
        if chunk.revoked:
            held = set(self._held.values())
            chunk.records = [r for r in chunk.records if r.partition in held]

    def commit(self, consumer: Consumer, *, wait: bool = False) -> None:
        """Commit what is finished, and starts whose count has changed; `wait` for the answer."""
        given_back = self._tracker.give_back_changed_starts(self._held.values())
        # Waited for, lest it overtake what a transaction commits further on.
        self.commits.send(consumer, wait=wait or given_back)

    # Called by librdkafka, inside poll.

    def on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Take partitions, each from the position that `positions` says."""
        if not partitions:
            return
        found = self._positions.find(
            consumer, [PartitionId(tp.topic, tp.partition) for tp in partitions]
        )
        self._on_found(found)
        for start in found:
            partition = start.partition
            self._held[partition.topic, partition.number] = partition
            self._assigned[partition] = start
            self._tracker.begin(start)
        # Committed again, this start is counted before it can get anywhere.
        self.commits.send(consumer, wait=True)
        self._observer.tell(Rebalanced("assigned", len(partitions)))
        log.info("assigned %s", _count(partitions), extra=_fields(partitions))
        places = [TopicPartition(s.partition.topic, s.partition.number, s.offset) for s in found]
        self._rebalancing.assign(consumer, places)
        self._positions.compare_logs(consumer, found)
        # librdkafka remembers a pause of an earlier assignment of the same partition.
        (consumer.pause if self._all_paused else consumer.resume)(partitions)

    def on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Give partitions away once what is under way with them is finished, within a bound."""
        leaving = self._leaving(partitions)
        self._observer.tell(Rebalanced("revoked", len(leaving)))
        finished = self._settle(leaving, self._revoke_seconds())
        if finished and self._in_order():
            self._tracker.end_in_order(leaving)
        self.commit(consumer, wait=True)
        self._forget(leaving)
        log.info(
            "gave up %s%s",
            _count(partitions),
            "" if finished else "; some work was unfinished",
            extra=_fields(partitions),
        )
        self._rebalancing.unassign(consumer, partitions)

    def on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Partitions that already belong to others: nothing of them may be committed."""
        leaving = self._leaving(partitions)
        self._forget(leaving)
        self._observer.tell(Rebalanced("lost", len(leaving)))
        log.warning(
            "lost %s: the group went on without this worker",
            _count(partitions),
            extra=_fields(partitions),
        )
        self._rebalancing.unassign(consumer, partitions)

    def _leaving(self, partitions: list[TopicPartition]) -> list[Partition]:
        places = [PartitionId(tp.topic, tp.partition) for tp in partitions]
        leaving = [self._held[place] for place in places if place in self._held]
        self._tracker.revoke(leaving)
        return leaving

    def _forget(self, leaving: Sequence[Partition]) -> None:
        for partition in leaving:
            del self._held[partition.topic, partition.number]
            self._paused.discard(partition)
            self._stopped.discard(partition)
            # If the worker has not been told of the assignment yet, it is not told of its end
            # either: align would wait for a partition of which it hears only the end.
            if self._assigned.pop(partition, None) is None:
                self._revoked.append(partition)
        self._tracker.forget(leaving)

    def begin_again(self, consumer: Consumer, partition: Partition, offset: int) -> None:
        """Read a partition from `offset`, after librdkafka gave up its position: it cannot seek."""
        place = TopicPartition(partition.topic, partition.number, offset)
        self._rebalancing.move(consumer, place)
        # It may have taken the other partitions anew as well.
        still = self.partitions if self._all_paused else list(self._paused | self._stopped)
        consumer.pause([TopicPartition(p.topic, p.number) for p in still])

    # Pausing.

    def pause(self, consumer: Consumer, partitions: Sequence[Partition]) -> None:
        """Stop fetching from these partitions."""
        mine = [p for p in partitions if self.holds(p)]
        self._paused.update(mine)
        consumer.pause([TopicPartition(p.topic, p.number) for p in mine])

    def resume(self, consumer: Consumer, partitions: Sequence[Partition]) -> None:
        """Fetch from them again, unless all are paused."""
        mine = [p for p in partitions if self.holds(p)]
        self._paused.difference_update(mine)
        if not self._all_paused:
            mine = [p for p in mine if p not in self._stopped]
            consumer.resume([TopicPartition(p.topic, p.number) for p in mine])

    def stop(self, consumer: Consumer, partition: Partition) -> None:
        """Fetch nothing more of a partition until `go_on`, whoever pauses and resumes it besides."""
        if self.holds(partition):
            self._stopped.add(partition)
            consumer.pause([TopicPartition(partition.topic, partition.number)])

    def go_on(self, consumer: Consumer, partition: Partition, offset: int) -> bool:
        """Fetch a stopped partition again, from `offset` on; return whether it is still ours."""
        if not self.holds(partition):
            return False
        self._stopped.discard(partition)
        self._positions.seek(consumer, partition, offset)
        self._rebalancing.sought(TopicPartition(partition.topic, partition.number, offset))
        if not self._all_paused and partition not in self._paused:
            consumer.resume([TopicPartition(partition.topic, partition.number)])
        return True

    def pause_all(self, consumer: Consumer) -> None:
        """Stop fetching, whatever is assigned, until `resume_all`."""
        if not self._all_paused:
            self._all_paused = True
            consumer.pause([TopicPartition(p.topic, p.number) for p in self.partitions])

    def resume_all(self, consumer: Consumer) -> None:
        """Fetch again, except from what is paused by itself."""
        if self._all_paused:
            self._all_paused = False
            mine = [p for p in self.partitions if p not in self._paused | self._stopped]
            consumer.resume([TopicPartition(p.topic, p.number) for p in mine])


def generation(consumer: Consumer) -> Any | None:
    """The group's metadata as a transaction needs it; None while the consumer is no member.

    Brokers accept a transaction's offsets that come without a member id, and then check neither
    generation nor owner. A member that was shut out has no member id from the moment it learns of
    it; its partitions are reported as lost only afterwards, inside `poll`.
    """
    # Read the metadata before the member id: a member that holds partitions gets no other id before
    # they are reported as lost.
    metadata = consumer.consumer_group_metadata()
    return metadata if consumer.memberid() else None


def _fields(partitions: Sequence[TopicPartition]) -> dict[str, Any]:
    return about_all(sorted((tp.topic, tp.partition) for tp in partitions))


def _count(partitions: Sequence[TopicPartition]) -> str:
    """How many they are: which, is the line's field."""
    return f"{len(partitions)} partition{'s' * (len(partitions) != 1)}"
