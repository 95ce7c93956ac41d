"""Stage align: merge partitions by time, so that a backlog is drained as it happened.

Partitions are consumed in parallel; without this stage the first partition's two hours would be
scored against a state that lacks the other partitions' two hours. A record is released when no
partition can still deliver an earlier one: each other partition has shown a later record, or is
at its end, or has been waited for long enough. Kafka Streams does the same per task
(KIP-353, `max.task.idle.ms`).
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from features.order import OrderKey, PartitionOrder
from stream_app.records import Chunk, Item, Partition

__all__ = ["RECORD_OVERHEAD_BYTES", "AlignStage"]

RECORD_OVERHEAD_BYTES: Final = 2_304
"""What a held record takes besides the bytes of its key and value: its objects, the decoded event
with its fields foremost. Measured for events of a dozen fields."""


class _Lane:
    """The held records of one partition."""

    __slots__ = ("at_end", "bytes", "given_up", "held", "order", "paused", "waited_since")

    def __init__(self, partition: Partition) -> None:
        self.order = PartitionOrder(partition.rank)
        self.held: deque[tuple[OrderKey, Item]] = deque()
        self.bytes = 0
        self.at_end = False
        """Unknown after an assignment, so not at the end until the broker says so."""
        self.paused = False
        self.given_up = False
        self.waited_since: float | None = None


class AlignStage:
    """Holds records back until their turn; see the module."""

    def __init__(
        self,
        *,
        enabled: bool = True,
        grace_seconds: float = 0.0,
        wait_seconds: float = 5.0,
        held_bytes_per_partition: int = 8 * 2**20,
        held_bytes_total: int = 64 * 2**20,
        batch_max_records: int = 512,
        batch_max_bytes: int = 4 * 2**20,
        pause: Callable[[list[Partition]], None],
        resume: Callable[[list[Partition]], None],
        on_gave_up: Callable[[Partition], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Times in seconds; `pause` and `resume` tell the transport to stop or go on fetching."""
        self._enabled = enabled
        self._grace = grace_seconds
        self._wait = wait_seconds
        self._bytes_per_partition = held_bytes_per_partition
        self._bytes_total = held_bytes_total
        self._batch_records = batch_max_records
        self._batch_bytes = batch_max_bytes
        self._pause = pause
        self._resume = resume
        self._on_gave_up = on_gave_up
        self._seen_at = -math.inf
        self._monotonic = monotonic
        self._lanes: dict[Partition, _Lane] = {}
        self.held_records = 0
        self.held_bytes = 0

    @property
    def crowded(self) -> bool:
        """Whether half of the bound on what may be held is reached."""
        return self.held_bytes > self._bytes_total // 2

    def take(self, items: Iterable[Item], chunk: Chunk) -> None:
        """Take in what one chunk brought: items, assignments, ends of partitions."""
        self._seen_at = max(self._seen_at, chunk.seen_at)
        for partition in chunk.revoked:
            gone = self._lanes.pop(partition, None)
            if gone is not None:
                self.held_records -= len(gone.held)
                self.held_bytes -= gone.bytes
        for partition in chunk.assigned:
            self._lanes[partition] = _Lane(partition)
        lane: _Lane | None = None
        at: Partition | None = None
        for item in items:
            record = item.record
            if record.partition is not at:
                at = record.partition
                lane = self._lanes.get(at)
                if lane is not None:
                    lane.at_end = lane.given_up = False
                    lane.waited_since = None
            if lane is None:
                continue  # revoked meanwhile: its next owner reads it again
            event_time = item.event.event_time if item.failure is None else -math.inf
            key = lane.order.key(item.known_at, event_time, item.offset)
            lane.held.append((key, item))
            taken = record.size + RECORD_OVERHEAD_BYTES
            lane.bytes += taken
            self.held_bytes += taken
            self.held_records += 1
        for partition in chunk.ended:
            if (ended := self._lanes.get(partition)) is not None:
                ended.at_end = True
                ended.waited_since = None

    def batches(self, limit: Callable[[int], int] = int) -> Iterator[list[Item]]:
        """Yield what may go on, in order, in batches bounded in records and bytes.

        `limit` says how many of the usual records a batch may have now. What is released and not yet yielded is still held: a backlog that waited for one partition
        is released at once and takes its memory until it is worked off.
        """
        most = limit(self._batch_records)
        ready = self._release()
        self._hold_back(released=len(ready))
        while ready:
            count = size = 0
            for item in ready:
                count += 1
                size += item.record.size
                if count >= most or size >= self._batch_bytes:
                    break
            batch = ready[:count]
            del ready[:count]
            self.held_records -= count
            self.held_bytes -= size + count * RECORD_OVERHEAD_BYTES
            self._hold_back(released=len(ready))
            yield batch

    def _release(self) -> list[Item]:
        limit = self._limit()
        released: list[tuple[OrderKey, Item]] = []
        for lane in self._lanes.values():
            held = lane.held
            while held and held[0][0] < limit:
                pair = held.popleft()
                lane.bytes -= pair[1].record.size + RECORD_OVERHEAD_BYTES
                released.append(pair)
        # Keys are unique, so items are never compared; lanes are sorted runs, which sort merges.
        released.sort()
        return [item for _, item in released]

    def _limit(self) -> OrderKey:
        """Keys below it may go."""
        if not self._enabled:
            return (math.inf, math.inf, 0, 0)
        limit: OrderKey = (math.inf, math.inf, 0, 0)
        if self._grace > 0.0:
            # Not the clock now: while the work lags, what was at its end when the chunk was
            # polled may no longer be.
            limit = (self._seen_at - self._grace, math.inf, 0, 0)
        now = self._monotonic()
        for partition, lane in self._lanes.items():
            if lane.at_end or lane.given_up:
                continue
            if not self.held_records:
                lane.waited_since = None  # nobody is kept waiting
            elif not lane.held:
                if lane.waited_since is None:
                    lane.waited_since = now
                if now - lane.waited_since >= self._wait:
                    lane.given_up = True
                    self._on_gave_up(partition)
                    continue
            limit = min(limit, lane.order.bound)
        return limit

    def _hold_back(self, released: int) -> None:
        """Pause and resume partitions; `released` records are still to be worked off."""
        pause, resume = [], []
        full = self.held_bytes > self._bytes_total
        half_empty = self.held_bytes < self._bytes_total // 2
        share = self._bytes_total // max(1, len(self._lanes))
        for partition, lane in self._lanes.items():
            if not lane.paused:
                if lane.bytes > self._bytes_per_partition or (full and lane.bytes > share):
                    lane.paused = True
                    pause.append(partition)
            elif lane.bytes < self._bytes_per_partition // 2 and (
                # A lane that is empty may be the one that all others wait for.
                half_empty or not (lane.bytes or released)
            ):
                lane.paused = False
                resume.append(partition)
        if pause:
            self._pause(pause)
        if resume:
            self._resume(resume)
