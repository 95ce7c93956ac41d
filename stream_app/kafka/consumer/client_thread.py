"""The client thread: owns the confluent consumer and makes every call on it.

librdkafka's consumer is driven by polling: rebalances run inside `poll`, and a commit from another
thread starves while this one polls. So one plain thread polls, commits, pauses and resumes; others
leave their requests. Polling never ceases, whatever the work is waiting for: where the
work does not keep up, partitions are paused instead.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from stream_app.errors import RefusedError
from stream_app.kafka.consumer.assignment import Assignment, generation
from stream_app.kafka.consumer.callbacks import Callbacks
from stream_app.kafka.consumer.error_events import ConsumerErrors
from stream_app.kafka.consumer.hand_over import HandOver
from stream_app.kafka.consumer.incoming import Incoming
from stream_app.kafka.consumer.linger import Linger
from stream_app.kafka.consumer.membership import Membership
from stream_app.kafka.consumer.rebalancing import rebalancing
from stream_app.kafka.consumer.start_positions import StartPositions
from stream_app.kafka.consumer_log import ConsumerLog
from stream_app.kafka.offset_tracker import OffsetTracker, Settle
from stream_app.kafka.slices import messages
from stream_app.observer.observer import Observer
from stream_app.records.chunk import Chunk
from stream_app.records.partition import Partition
from stream_app.records.start_position import StartPosition

__all__ = ["ClientThread"]

log = logging.getLogger(__name__)

_IDLE_SECONDS = 0.1
"""How long a poll waits for the first record: requests of other threads wait as long."""
_TURN_SECONDS = 0.01
"""Shortest wait for anything: commits that are due at once are due this late."""
_REJOIN_SECONDS = 1.0
"""How long to wait before a new consumer follows one that the brokers shut out."""
_ONE_BATCH = {"fetch.max.bytes": 1_000, "message.max.bytes": 1_000, "max.partition.fetch.bytes": 1}
"""The least there is: brokers give one batch all the same. A batch of some kilobytes may unpack to
a hundred megabytes, and librdkafka unpacks all of an answer at once."""
_NEVER = 2**31
_PATIENCE_SECONDS = 1.0
"""How long a full hand-over is waited for before partitions are paused."""


class _FetchLess(Exception):  # noqa: N818 - no error: a consumer with other properties is wanted
    """What one answer of the brokers holds may be too much for this process."""


class ClientThread(threading.Thread):
    """Consumes chunks and commits what the commit stage says is finished."""

    def __init__(
        self,
        properties: Mapping[str, Any],
        topics: Sequence[str],
        *,
        on_chunk: Callable[[Chunk], None],
        on_crash: Callable[[BaseException], None],
        observer: Observer,
        membership: Membership,
        before_joining: Callable[[], None],
        tracker: OffsetTracker,
        settle: Settle,
        positions: StartPositions,
        poll_max_records: int,
        linger_seconds: float,
        commit_interval_seconds: float,
        chunk_buffer: int,
        revoke_seconds: float,
        tick_seconds: float,
        refusal_seconds: float,
        isolation_starts: int,
        beside_transactions: bool,
    ) -> None:
        """Set up; `start` begins.

        `isolation_starts`: after so many that got nowhere the brokers are asked for little at once.
        `before_joining`: raises where the worker could not do its work as a member of the group.
        `revoke_seconds`: how long partitions being given away may take to finish.
        `tick_seconds`: how often an empty chunk comes while records are held for their turn.
        """
        super().__init__(name="kafka-client", daemon=True)
        self._library_log = ConsumerLog()
        self._properties = ConsumerLog.properties(properties)
        self._topics = list(topics)
        self._on_crash = on_crash
        self._membership = membership
        self._isolation_starts = isolation_starts
        self._errors = ConsumerErrors(refusal_seconds, observer)
        self._before_joining = before_joining
        self._tracker = tracker
        self._poll_max_records = poll_max_records
        self._linger = Linger(linger_seconds)
        self._commit_interval = commit_interval_seconds
        # No longer, or rebalances wait as well; no shorter, or the thread spins.
        self._turn_seconds = min(_IDLE_SECONDS, max(_TURN_SECONDS, commit_interval_seconds))
        self._hand_over = HandOver(on_chunk, chunk_buffer=chunk_buffer, tick_seconds=tick_seconds)
        self._callbacks = Callbacks()
        self._requests: deque[Callable[[Consumer], None]] = deque()
        self._stopping = threading.Event()
        self._crashed = False
        self._assignment = Assignment(
            rebalancing=rebalancing(properties),
            beside_transactions=beside_transactions,
            positions=positions,
            tracker=tracker,
            settle=settle,
            observer=observer,
            revoke_seconds=lambda: 0.0 if self._stopping.is_set() else revoke_seconds,
            in_order=lambda: not self._crashed,
            on_found=self._on_found,
            refusal_seconds=refusal_seconds,
        )
        self._beside_transactions = beside_transactions
        self._metadata: Any = None
        self._incoming = Incoming(self._assignment, positions, tracker, self._errors)
        self._full_since: float | None = None
        self._next_commit = 0.0

    # Called by other threads.

    @property
    def partitions(self) -> list[Partition]:
        """The partitions assigned now."""
        return self._assignment.partitions

    def group_metadata(self) -> Any:
        """The group's generation of a moment ago, as a transaction needs it.

        Each turn of this thread stores it. If another thread asked the client for it, the client
        would answer only after a rebalance, which may wait for the transaction of that same thread.
        """
        return self._metadata

    def chunk_done(self, *, holding: bool, crowded: bool) -> None:
        """Make room for another chunk.

        `holding`: records are held for their turn. `crowded`: so many that partitions are about to
        be paused; then chunks are smaller, since all that is in one may be of a partition that the
        others do not wait for.
        """
        self._hand_over.done(holding=holding, crowded=crowded)

    def delivering(self, change: int) -> None:
        """So many batches more, or fewer, are on their way to be delivered."""
        self._hand_over.delivering(change)

    def more_waits(self) -> bool:
        """Whether another chunk was handed over behind the one at work."""
        return self._hand_over.more_waits

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Stop fetching from these partitions."""
        self._requests.append(lambda consumer: self._assignment.pause(consumer, partitions))

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Fetch from them again."""
        self._requests.append(lambda consumer: self._assignment.resume(consumer, partitions))

    def stop_partition(self, partition: Partition) -> None:
        """Fetch nothing more of a partition until `go_on`, whoever pauses and resumes it besides."""
        self._requests.append(lambda consumer: self._assignment.stop(consumer, partition))

    def go_on(self, partition: Partition, offset: int) -> None:
        """Fetch a stopped partition again, from `offset` on; the chunk that brings it says so."""

        def request(consumer: Consumer) -> None:
            if self._assignment.go_on(consumer, partition, offset):
                self._incoming.rewound(partition, offset)

        self._requests.append(request)

    def crashed(self) -> None:
        """Let this start count as one that got nowhere, though the group is left in order."""
        self._crashed = True

    def stop(self) -> None:
        """Consume no more, commit what is finished and leave the group."""
        self._stopping.set()
        self._hand_over.wake()

    # The thread.

    def run(self) -> None:
        """Poll until stopped; then commit what is finished and leave the group."""
        try:
            self._before_joining()
            while not self._stopping.is_set():
                try:
                    self._be_member()
                except _FetchLess:
                    log.warning(
                        "starts got nowhere, perhaps for want of memory: from now on the brokers are "
                        "asked for one batch at a time"
                    )
                    self._properties |= _ONE_BATCH
                    self._isolation_starts = _NEVER
                except RefusedError as error:
                    # librdkafka gave this consumer up: a new one is tried, for `refusal_seconds`.
                    log.warning("%s", error)
                    self._stopping.wait(_REJOIN_SECONDS)
        except BaseException as error:  # noqa: BLE001 - nothing may end this thread unseen
            self._on_crash(error)

    def _be_member(self) -> None:
        consumer = Consumer(
            {**self._properties, "on_commit": self._assignment.commits.answered},
            logger=self._library_log,
        )
        try:
            consumer.subscribe(
                self._topics,
                on_assign=self._callbacks.raised_later(self._on_assign, assigns=True),
                on_revoke=self._callbacks.raised_later(self._on_revoke),
                on_lost=self._callbacks.raised_later(self._on_lost),
            )
            while not self._stopping.is_set():
                self._turn(consumer)
        finally:
            self._leave(consumer)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._assignment.on_assign(consumer, partitions)
        self._errors.joined()
        self._membership.assigned(len(self.partitions))

    def _on_found(self, found: Sequence[StartPosition]) -> None:
        if any(start.failed_starts >= self._isolation_starts for start in found):
            raise _FetchLess

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._assignment.on_lost(consumer, partitions)
        self._membership.lost(len(self.partitions))

    def _note_generation(self, consumer: Consumer) -> None:
        if self._beside_transactions:
            self._metadata = generation(consumer) or self._metadata

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._note_generation(consumer)
        self._assignment.on_revoke(consumer, partitions)
        self._membership.gave_up(len(self.partitions))

    def _turn(self, consumer: Consumer) -> None:
        self._note_generation(consumer)
        self._membership.note_member(consumer)
        self._errors.look(consumer, self.partitions, is_member=self._membership.is_member)
        while self._requests:
            self._requests.popleft()(consumer)
        now = time.monotonic()
        urgent = self._tracker.urgent
        if urgent or now >= self._next_commit:
            # A thread that waits for a commit takes no chunks meanwhile. Without room for chunks
            # nothing is polled, so the answer would not arrive: wait for it here.
            self._assignment.commit(consumer, wait=urgent)
            self._next_commit = now + self._commit_interval
        if self._hand_over.has_space(self._turn_seconds):
            self._full_since = None
            self._assignment.resume_all(consumer)
            self._stopping.wait(self._linger.seconds_left(time.monotonic()))  # a stop ends it
            self._poll(consumer)
            self._hand_over_chunk()
        elif self._full_since is None:
            self._full_since = now
        elif now - self._full_since > _PATIENCE_SECONDS:
            self._assignment.pause_all(consumer)
            self._poll(consumer)  # for the rebalances and commits it serves

    def _poll(self, consumer: Consumer) -> None:
        wait = self._hand_over.poll_seconds(_IDLE_SECONDS)
        first = consumer.poll(min(wait, self._turn_seconds))
        self._check()
        seen_at = time.time()
        if first is not None:
            most = self._hand_over.most_records(self._poll_max_records)
            rest = messages(consumer, most - 1, 0.0, self._check)
            taken = self._incoming.take(consumer, chain([first], rest))
            is_full = taken.messages == most
            if is_full:
                seen_at = self._incoming.chunk.seen_at
            if self._incoming.chunk.records:
                # Large records, small answers or paused partitions leave a poll far from full in a backlog.
                is_behind = is_full or taken.left >= taken.messages
                self._hand_over.polled(is_behind=is_behind)
                self._linger.polled(time.monotonic(), is_behind=is_behind)
        self._incoming.chunk.seen_at = seen_at

    def _check(self) -> None:
        self._callbacks.raise_kept()
        self._library_log.check(self._assignment.partitions)

    def _hand_over_chunk(self) -> None:
        chunk = self._incoming.chunk
        if self._hand_over.is_due(chunk, has_news=self._assignment.has_news):
            self._incoming.chunk = Chunk()
            self._assignment.tell(chunk)
            self._hand_over(chunk)

    def _leave(self, consumer: Consumer) -> None:
        try:
            self._assignment.commits.send(consumer, wait=True)
        finally:
            consumer.close()
            self._callbacks.log_kept()
