"""The client thread: owns the confluent consumer and makes every call on it.

librdkafka's consumer is driven by polling: rebalances run inside `poll`, and a commit from another
thread starves while this one polls. So one plain thread polls, commits, pauses and resumes; others
leave their wishes under a lock. Polling never ceases, whatever the work is waiting for: where the
work does not keep up, partitions are paused instead.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from features.order import rank
from stream_app.commit import CommitStage
from stream_app.errors import FatalError
from stream_app.logs import get_logger
from stream_app.metrics import Metrics
from stream_app.records import Chunk, Partition, Record

__all__ = ["ClientThread"]

log = get_logger(__name__)

_IDLE_SECONDS = 0.1
"""How long a poll waits for the first record: wishes of other threads wait as long."""
_TURN_SECONDS = 0.01
"""Shortest wait for anything: commits that are due at once are due this late."""
_HEARTBEAT_SECONDS = 0.5
"""An empty chunk goes through the worker at least this often, to show that all of it is alive."""
_COMMITTED_SECONDS = 5.0
_PATIENCE_SECONDS = 1.0
"""How long a full hand-over is waited for before partitions are paused."""


class ClientThread(threading.Thread):
    """Consumes chunks and commits what the commit stage says is finished."""

    def __init__(
        self,
        properties: Mapping[str, Any],
        topics: Sequence[str],
        *,
        on_chunk: Callable[[Chunk], None],
        on_crash: Callable[[BaseException], None],
        on_joined: Callable[[], None],
        commit: CommitStage,
        metrics: Metrics,
        poll_max_records: int,
        linger_seconds: float,
        commit_interval_seconds: float,
        chunk_buffer: int,
        revoke_seconds: float,
        tick_seconds: float,
    ) -> None:
        """Set up; `start` begins.

        `revoke_seconds`: how long partitions being given away may take to finish.
        `tick_seconds`: how often an empty chunk comes while records are held for their turn.
        """
        super().__init__(name="kafka-client", daemon=True)
        self._properties = dict(properties)
        self._topics = list(topics)
        self._on_chunk = on_chunk
        self._on_crash = on_crash
        self._on_joined = on_joined
        self._commit = commit
        self._metrics = metrics
        self._poll_max_records = poll_max_records
        self._linger = linger_seconds
        self._commit_interval = commit_interval_seconds
        # No longer, or rebalances wait as well; no shorter, or the thread spins.
        self._turn_seconds = min(_IDLE_SECONDS, max(_TURN_SECONDS, commit_interval_seconds))
        self._chunk_buffer = chunk_buffer
        self._revoke_seconds = revoke_seconds
        self._wishes: deque[Callable[[Consumer], None]] = deque()
        self._space = threading.Condition()
        self._outstanding = 0
        self._stopping = threading.Event()
        self._assigned: dict[tuple[str, int], Partition] = {}
        self._paused: set[Partition] = set()
        self._all_paused = False
        self._chunk = Chunk()
        self._full_since: float | None = None
        self._last_chunk = 0.0
        self._next_commit = 0.0
        self._commit_started = 0.0
        self._tick = tick_seconds
        self._holding = False

    # Called by other threads.

    @property
    def partitions(self) -> list[Partition]:
        """The partitions assigned now."""
        return list(self._assigned.values())

    def chunk_done(self, *, holding: bool) -> None:
        """Make room for another chunk; `holding`: records are held for their turn."""
        with self._space:
            self._holding = holding
            self._outstanding -= 1
            self._space.notify_all()

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Stop fetching from these partitions."""
        self._wishes.append(lambda consumer: self._hold(consumer, partitions))

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Fetch from them again."""
        self._wishes.append(lambda consumer: self._let_go(consumer, partitions))

    def stop(self) -> None:
        """Consume no more, commit what is finished and leave the group."""
        self._stopping.set()
        with self._space:
            self._space.notify_all()

    # The thread.

    def run(self) -> None:
        """Poll until stopped; then commit what is finished and leave the group."""
        try:
            consumer = Consumer(
                {**self._properties, "on_commit": self._on_commit}, logger=get_logger("librdkafka")
            )
            try:
                consumer.subscribe(
                    self._topics,
                    on_assign=self._on_assign,
                    on_revoke=self._on_revoke,
                    on_lost=self._on_lost,
                )
                while not self._stopping.is_set():
                    self._turn(consumer)
            finally:
                self._leave(consumer)
        except BaseException as error:  # noqa: BLE001 - nothing may end this thread unseen
            self._on_crash(error)

    def _turn(self, consumer: Consumer) -> None:
        while self._wishes:
            self._wishes.popleft()(consumer)
        now = time.monotonic()
        if now >= self._next_commit:
            self._commit_finished(consumer)
            self._next_commit = now + self._commit_interval
        if self._has_space():
            self._full_since = None
            if self._all_paused:
                self._all_paused = False
                self._resume(consumer, [p for p in self.partitions if p not in self._paused])
            self._poll(consumer)
            self._hand_over()
        elif self._full_since is None:
            self._full_since = now
        elif now - self._full_since > _PATIENCE_SECONDS:
            if not self._all_paused:
                self._all_paused = True
                consumer.pause([TopicPartition(p.topic, p.number) for p in self.partitions])
            self._poll(consumer)  # for the rebalances and commits it serves

    def _has_space(self) -> bool:
        with self._space:
            return self._space.wait_for(
                lambda: self._outstanding < self._chunk_buffer, timeout=self._turn_seconds
            )

    def _poll(self, consumer: Consumer) -> None:
        wait = self._tick if self._holding else _IDLE_SECONDS
        first = consumer.poll(min(wait, self._turn_seconds))
        seen_at = time.time()
        if first is not None:
            if self._linger:
                time.sleep(self._linger)
            seen_at = time.time()
            rest = consumer.consume(self._poll_max_records - 1, 0)
            if len(rest) == self._poll_max_records - 1:
                seen_at = self._chunk.seen_at  # there may be more
            self._take(consumer, [first, *rest])
        self._chunk.seen_at = seen_at

    def _take(self, consumer: Consumer, messages: Sequence[Any]) -> None:
        chunk = self._chunk
        first: dict[Partition, Record] = {}
        last: dict[Partition, Record] = {}
        ended: dict[Partition, int] = {}
        assigned = self._assigned
        append = chunk.records.append
        for message in messages:
            partition = assigned.get((message.topic(), message.partition()))
            error = message.error()
            if error is not None:
                if error.code() == KafkaError._PARTITION_EOF:
                    if partition is not None:
                        ended[partition] = message.offset()
                else:
                    self._consume_error(error)
                continue
            if partition is None:
                continue
            kind, millis = message.timestamp()
            record = Record(
                partition,
                message.offset(),
                millis / 1000.0 if kind else None,
                message.key(),
                message.value(),
                message,
            )
            append(record)
            if partition not in last:
                first[partition] = record
            last[partition] = record
            ended.pop(partition, None)
        for partition, record in last.items():
            stamp = first[partition].timestamp
            known_at = time.time() if stamp is None else stamp
            self._commit.consumed(partition, record.offset, known_at)
            # The end-of-partition event comes with the next answer of the broker, which it may
            # hold back for fetch.wait.max.ms. The high watermark of this answer tells it now,
            # except behind transaction markers and compaction: for those there is the event.
            place = TopicPartition(partition.topic, partition.number)
            _, high = consumer.get_watermark_offsets(place, cached=True)
            if high == record.offset + 1:
                chunk.ended.append(partition)
        for partition, offset in ended.items():
            self._commit.at_end(partition, offset)
        chunk.ended.extend(ended)

    def _consume_error(self, error: KafkaError) -> None:
        if error.fatal() or not (error.retriable() or error.code() < 0):
            # librdkafka gives up on these: an unknown topic, a refused authorisation, a fenced
            # member. They are configuration or operation, and a restart is their remedy.
            raise FatalError(f"kafka refused to deliver: {error.str()}")
        log.warning("kafka: %s", error.str())

    def _hand_over(self) -> None:
        chunk = self._chunk
        now = time.monotonic()
        empty = not (chunk.records or chunk.assigned or chunk.revoked or chunk.ended)
        due = now - self._last_chunk >= (self._tick if self._holding else _HEARTBEAT_SECONDS)
        if empty and not due:
            return
        self._last_chunk = now
        self._chunk = Chunk()
        with self._space:
            self._outstanding += 1
        self._on_chunk(chunk)

    # Commits.

    def _commit_finished(self, consumer: Consumer, *, wait: bool = False) -> None:
        offsets = {
            partition: offset
            for partition, offset in self._commit.take().items()
            if self._assigned.get((partition.topic, partition.number)) is partition
        }
        if not offsets:
            return
        places = [TopicPartition(p.topic, p.number, offset) for p, offset in offsets.items()]
        self._commit_started = time.perf_counter()
        try:
            if wait:
                consumer.commit(offsets=places, asynchronous=False)
            else:
                consumer.commit(offsets=places)
        except KafkaException as error:
            self._commit_failed(error.args[0], offsets)

    def _on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        """Note how a commit went; called by librdkafka inside poll and inside a waiting commit."""
        self._metrics.commit(time.perf_counter() - self._commit_started)
        ours = {
            self._assigned[place.topic, place.partition]: place
            for place in offsets
            if (place.topic, place.partition) in self._assigned
        }
        failed = {p: place.offset for p, place in ours.items() if error or place.error}
        for partition, place in ours.items():
            if partition not in failed:
                self._commit.committed(partition, place.offset)
        if failed:
            causes = [place.error for place in ours.values() if place.error]
            self._commit_failed(error or causes[0], failed)

    def _commit_failed(self, error: KafkaError, offsets: Mapping[Partition, int]) -> None:
        # The records behind these offsets are published and written: should they be read again,
        # they are recognised. Until then the offsets are tried again.
        self._metrics.commit_failures()
        log.warning("offsets were not committed: %s", error.str())
        for partition, offset in offsets.items():
            self._commit.give_back(partition, offset)

    # Rebalances, inside poll.

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._on_joined()
        if not partitions:
            return
        for tp in partitions:
            place = rank(self._topics.index(tp.topic), tp.partition)
            partition = Partition(tp.topic, tp.partition, place)
            self._assigned[tp.topic, tp.partition] = partition
            self._chunk.assigned.append(partition)
        self._metrics.rebalance("assigned", len(partitions))
        log.info("assigned %s", _names(partitions))
        if self._cooperative:
            consumer.incremental_assign(partitions)
        else:
            consumer.assign(partitions)
        # librdkafka remembers a pause of an earlier assignment of the same partition.
        (consumer.pause if self._all_paused else consumer.resume)(partitions)
        self._note_committed(consumer, partitions)

    def _note_committed(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        try:
            committed = consumer.committed(partitions, timeout=_COMMITTED_SECONDS)
        except KafkaException as error:
            log.debug("committed offsets are unknown for now: %s", error)
            return
        for tp in committed:
            if tp.offset >= 0:
                self._commit.committed(self._assigned[tp.topic, tp.partition], tp.offset)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Give partitions away once what is under way with them is finished, within a bound."""
        revoked = self._end(partitions)
        self._metrics.rebalance("revoked", len(partitions))
        patience = 0.0 if self._stopping.is_set() else self._revoke_seconds
        finished = self._commit.settle(revoked, patience)
        for partition in revoked:
            self._assigned[partition.topic, partition.number] = partition
        self._commit_finished(consumer, wait=True)
        for partition in revoked:
            self._assigned.pop((partition.topic, partition.number), None)
        self._commit.forget(revoked)
        log.info(
            "gave up %s%s", _names(partitions), "" if finished else "; some work was unfinished"
        )
        self._unassign(consumer, partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Partitions that already belong to others: nothing of them may be committed."""
        revoked = self._end(partitions)
        self._metrics.rebalance("lost", len(partitions))
        self._commit.forget(revoked)
        log.warning("lost %s: the group went on without this worker", _names(partitions))
        self._unassign(consumer, partitions)

    def _end(self, partitions: list[TopicPartition]) -> list[Partition]:
        ended = []
        for tp in partitions:
            partition = self._assigned.pop((tp.topic, tp.partition), None)
            if partition is not None:
                self._paused.discard(partition)
                if partition in self._chunk.assigned:
                    # Nobody has heard of it yet: told of the end alone, align would wait for it.
                    self._chunk.assigned.remove(partition)
                else:
                    self._chunk.revoked.append(partition)
                ended.append(partition)
        gone = set(ended)
        self._commit.revoke(ended)
        self._chunk.records = [r for r in self._chunk.records if r.partition not in gone]
        return ended

    @property
    def _cooperative(self) -> bool:
        return (
            self._properties.get("group.protocol") == "consumer"
            or self._properties.get("partition.assignment.strategy") == "cooperative-sticky"
        )

    def _unassign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._cooperative:
            consumer.incremental_unassign(partitions)
        else:
            consumer.unassign()

    # Pausing.

    def _hold(self, consumer: Consumer, partitions: Sequence[Partition]) -> None:
        mine = [p for p in partitions if not p.revoked]
        self._paused.update(mine)
        consumer.pause([TopicPartition(p.topic, p.number) for p in mine])

    def _let_go(self, consumer: Consumer, partitions: Sequence[Partition]) -> None:
        mine = [p for p in partitions if not p.revoked]
        self._paused.difference_update(mine)
        if not self._all_paused:
            self._resume(consumer, mine)

    def _resume(self, consumer: Consumer, partitions: Sequence[Partition]) -> None:
        consumer.resume([TopicPartition(p.topic, p.number) for p in partitions])

    # The end.

    def _leave(self, consumer: Consumer) -> None:
        try:
            self._commit_finished(consumer, wait=True)
        finally:
            consumer.close()


def _names(partitions: Sequence[TopicPartition]) -> str:
    by_topic: dict[str, list[int]] = {}
    for tp in partitions:
        by_topic.setdefault(tp.topic, []).append(tp.partition)
    return ", ".join(
        f"{topic}[{','.join(map(str, sorted(numbers)))}]"
        for topic, numbers in sorted(by_topic.items())
    )
