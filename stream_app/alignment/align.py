"""Stage align: merge partitions by time, so that a backlog is drained as it happened.

Partitions are consumed in parallel; without this stage the first partition's two hours would be
scored against a state that lacks the other partitions' two hours. A record is released when no
partition can still deliver an earlier one: each other partition has shown a later record, or is
at its end, or has been waited for long enough. Kafka Streams does the same per task
(KIP-353, `max.task.idle.ms`).

A record is decoded when its turn comes, not when it arrives: a backlog holds tens of thousands of
records, and as events they would take several times the memory. For the order, the event is needed
only among records that became known at the same moment. Where very many did, only the time of each
event is kept, and its record is decoded again when it goes on.

How large a batch is, is decided in `batch_size`. Which partition is paused because it holds too much is
decided at the end of this file; `kafka/consumer/client_thread.py` pauses all of them while the work takes
no chunks (`hand_over`).
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Final

from stream_app.alignment.allowance import Allowance
from stream_app.alignment.batch_size import BatchSize
from stream_app.alignment.lane import Held, Lane
from stream_app.alignment.turns import Keyed, hold, keyed
from stream_app.features.engine.order import OrderKey
from stream_app.observer.events import AlignmentGaveUp
from stream_app.observer.observer import Observer
from stream_app.predictor.decode import Decode
from stream_app.records.chunk import Chunk
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.record import Record

__all__ = ["EVENT_OVERHEAD_BYTES", "RECORD_OVERHEAD_BYTES", "AlignStage"]

RECORD_OVERHEAD_BYTES: Final = 384
"""What a held record takes besides the bytes of its key and value."""
EVENT_OVERHEAD_BYTES: Final = 1_920
"""What it takes in addition once it is decoded. Measured for events of a dozen fields."""

_DECODED_BATCHES: Final = 2
"""So many batches of records are held decoded."""

_PARTITION_OF: Final = attrgetter("partition")
_KNOWN_AT: Final = itemgetter(0)
_LAST: Final[OrderKey] = (math.inf, math.inf, 0, 0)


class AlignStage:
    """Holds records back until their turn; see the module."""

    def __init__(
        self,
        *,
        enabled: bool,
        grace_seconds: float,
        wait_seconds: float,
        held_bytes_per_partition: int,
        held_bytes_total: int,
        batch_max_records: int,
        batch_max_bytes: int,
        pause: Callable[[list[Partition]], None],
        resume: Callable[[list[Partition]], None],
        observer: Observer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Times in seconds; `pause` and `resume` tell the transport to stop or go on fetching."""
        self._enabled = enabled
        self._grace = grace_seconds
        self._wait = wait_seconds
        self._bytes_per_partition = held_bytes_per_partition
        self._bytes_total = held_bytes_total
        self._size = BatchSize(batch_max_records, batch_max_bytes)
        self._most_decoded = _DECODED_BATCHES * batch_max_records
        self._pause = pause
        self._resume = resume
        self._observer = observer
        self._seen_at = -math.inf
        self._monotonic = monotonic
        self._lanes: dict[Partition, Lane] = {}
        self._to_empty: list[Partition] = []
        """Stopped while batches were made of what they hold."""
        self._tied: list[Keyed] = []
        """Decoded and in order: more may come that became known at the same moment."""
        self._decoded = 0
        """So many of them are held as items, the others as records."""
        self._bytes = 0
        self._is_pressed = False
        """Whether so much is held that each partition may hold no more than its share."""
        self.held_records = 0

    @property
    def held_bytes(self) -> int:
        """What the held records take."""
        return self._bytes + self._decoded * EVENT_OVERHEAD_BYTES

    @property
    def crowded(self) -> bool:
        """Whether all but an eighth of what may be held is: as much may come at once."""
        return self.held_bytes > self._bytes_total - self._bytes_total // 8

    def add(self, chunk: Chunk) -> None:
        """Take in what one chunk brought: records, assignments, ends of partitions."""
        self._seen_at = max(self._seen_at, chunk.seen_at)
        self._change_lanes(chunk)
        for partition, records in groupby(chunk.records, _PARTITION_OF):
            lane = self._lanes.get(partition)
            if lane is None:
                continue  # revoked meanwhile: its next owner reads them again
            lane.at_end = lane.given_up = False
            lane.waited_since = None
            if lane.stopped:
                continue  # we read them again
            before = len(lane.held)
            lane.known_at, taken = hold(records, lane.held, lane.known_at, lane.order.rank)
            count = len(lane.held) - before
            taken += count * RECORD_OVERHEAD_BYTES
            lane.bytes += taken
            self._bytes += taken
            self.held_records += count
        for partition in chunk.ended:
            if (ended := self._lanes.get(partition)) is not None:
                ended.at_end = True
                ended.waited_since = None

    def _change_lanes(self, chunk: Chunk) -> None:
        self._empty_stopped()
        for partition in chunk.revoked:
            self._drop(partition)
        for start in chunk.assigned:
            self._lanes[start.partition] = Lane(start.partition)
        for partition in chunk.rewound:
            if (lane := self._lanes.get(partition)) is not None:
                lane.stopped = lane.at_end = False

    def stop(self, partition: Partition) -> None:
        """Hold nothing more of a partition, and let nobody wait for it, until a chunk says `rewound`.

        What is being released of it is released still: the caller leaves it out.
        """
        lane = self._lanes.get(partition)
        if lane is not None:
            lane.stopped = True
            self._to_empty.append(partition)

    def limit(self, partition: Partition, allowance: Allowance | None) -> None:
        """Release no more records of a partition than `allowance` has left, and let nobody wait for it."""
        lane = self._lanes.get(partition)
        if lane is not None:
            lane.allowance = allowance

    def _empty_stopped(self) -> None:
        for partition in self._to_empty:
            lane = self._lanes.get(partition)
            if lane is not None:
                self._drop(partition)
                emptied = self._lanes[partition] = Lane(partition)
                emptied.stopped = True
                if lane.paused:
                    self._resume([partition])
        self._to_empty.clear()

    def _drop(self, partition: Partition) -> None:
        lane = self._lanes.pop(partition, None)
        if lane is not None:
            tied = len(self._tied)
            self._tied = [each for each in self._tied if each[5].partition is not partition]
            self._decoded = sum([each[4] is not None for each in self._tied])
            self.held_records -= len(lane.held) + tied - len(self._tied)
            self._bytes -= lane.bytes

    def batches(
        self,
        decode: Decode,
        limit: Callable[[int], int] = int,
        more_waits: Callable[[], bool] = lambda: False,
    ) -> Iterator[list[Item]]:
        """Yield what may go on, in order, in batches bounded in records and bytes.

        `limit` says how many of the usual records a batch may have now. `more_waits`: whether another
        chunk is at hand; then what does not fill a batch is held until that one is added. What is
        released and not yet yielded is still held: a backlog that waited for one partition is released
        at once and takes its memory until it is worked off.
        """
        most = limit(self._size.max_records)
        due = self._due()
        self._pause_and_resume(released=len(due))
        while due or self._tied:
            # Less those of the last moment, or a full batch would be followed by one of a few records.
            room = most - len(self._tied) % most
            if due and not self._size.is_filled(_sizes(due, room), room) and more_waits():
                self._hold_again(due)
                return
            records = self._next(due, room)
            ready = self._in_order(decode(records) if records else [], due)
            if not (ready or due):
                return
            while ready:
                count, size = self._size.fitting([each[5].size for each in ready], most)
                batch = ready[:count]
                del ready[:count]
                items = self._as_items(batch, decode)
                self.held_records -= count
                self._bytes -= size + count * RECORD_OVERHEAD_BYTES
                self._pause_and_resume(released=len(due) + len(ready))
                yield items

    def _as_items(self, batch: Sequence[Keyed], decode: Decode) -> list[Item]:
        """The items, those decoded again that were not held decoded."""
        items = [each[4] for each in batch if each[4] is not None]
        self._decoded -= len(items)
        if len(items) == len(batch):
            return items
        again = iter(decode([each[5] for each in batch if each[4] is None]))
        return [next(again) if each[4] is None else each[4] for each in batch]

    def _due(self) -> list[Held]:
        """The records that nothing known earlier can come before, in the order they are known."""
        frontier = self._frontier()
        due: list[Held] = []
        for lane in self._lanes.values():
            held, allowance = lane.held, lane.allowance
            count = bisect_right(held, frontier, key=_KNOWN_AT)
            if allowance is not None:
                count = min(count, math.floor(allowance.left))
                allowance.left -= count
            due += held[:count]
            del held[:count]
        # No two are equal, so records are never compared; lanes are sorted runs, which sort merges.
        due.sort()
        return due

    def _frontier(self) -> float:
        """The moment up to which nothing is missing but what became known at that very moment."""
        if not self._enabled:
            return math.inf
        # By the grace, not the clock now: while the work lags, what was at its end when the chunk
        # was polled may no longer be.
        frontier = self._seen_at - self._grace if self._grace > 0.0 else math.inf
        now = self._monotonic()
        tied = {each[5].partition for each in self._tied}
        for partition, lane in self._lanes.items():
            if not lane.is_open:
                continue
            if not self.held_records:
                lane.waited_since = None  # nobody is kept waiting
            elif not lane.held and partition not in tied:
                if lane.waited_since is None:
                    lane.waited_since = now
                if now - lane.waited_since >= self._wait:
                    lane.given_up = True
                    self._observer.tell(AlignmentGaveUp(partition))
                    continue
            frontier = min(frontier, lane.known_at)
        return frontier

    def _hold_again(self, due: Iterable[Held]) -> None:
        """Put what was to be released back to where it came from."""
        by_partition: dict[Partition, list[Held]] = {}
        for held in due:
            by_partition.setdefault(held[3].partition, []).append(held)
        for partition, again in by_partition.items():
            lane = self._lanes[partition]
            lane.held[:0] = again
            if lane.allowance is not None:
                lane.allowance.left += len(again)

    def _next(self, due: list[Held], most: int) -> list[Record]:
        """Take the first records of `due`, about a batch."""
        count, _ = self._size.fitting(_sizes(due, most), most)
        records = [held[3] for held in due[:count]]
        del due[:count]
        return records

    def _in_order(self, items: Iterable[Item], due: Sequence[Held]) -> list[Keyed]:
        """Take in decoded records, all before those in `due`; return what may go on, in order."""
        lanes, tied = self._lanes, self._tied
        self._decoded += keyed(items, tied, lanes, self._most_decoded - self._decoded)
        if not tied or (due and due[0][0] <= tied[0][0]):
            return []  # of the same moment there are more to be decoded
        tied.sort()
        limit = _LAST
        if self._enabled:
            newest = tied[-1][0]
            bounds = [x.order.bound for x in lanes.values() if x.is_open and x.known_at <= newest]
            limit = min([limit, *bounds])
        if due:
            limit = min(limit, (due[0][0], -math.inf, 0, 0))
        count = bisect_left(tied, limit)
        ready = tied[:count]
        del tied[:count]
        for each in ready:
            record = each[5]
            lanes[record.partition].bytes -= record.size + RECORD_OVERHEAD_BYTES
        return ready

    def _pause_and_resume(self, released: int) -> None:
        """Pause and resume partitions; `released` records are still to be worked off."""
        pause, resume = [], []
        most, full = self._most_of_one(), self.held_bytes > self._bytes_total
        for partition, lane in self._lanes.items():
            if lane.stopped:
                continue
            if not lane.paused:
                if lane.bytes > most:
                    lane.paused = True
                    pause.append(partition)
            # A lane that is empty may be the one that all others wait for.
            elif lane.bytes < most // 2 and not (full and (lane.bytes or released)):
                lane.paused = False
                resume.append(partition)
        if pause:
            self._pause(pause)
        if resume:
            self._resume(resume)

    def _most_of_one(self) -> int:
        """How many bytes a partition may hold now.

        Brokers give as many bytes of each partition, so those with few records an hour run ahead of the others
        in time, and what they hold grows with the log. If they were paused only when all is full, all would be
        full from then on, and be read in small pieces: half the speed in a drain of millions of records.
        """
        if self._is_pressed:
            self._is_pressed = self.held_bytes > self._bytes_total // 4
        else:
            self._is_pressed = self.held_bytes > self._bytes_total // 2
        if not self._is_pressed:
            return self._bytes_per_partition
        return min(self._bytes_per_partition, self._bytes_total // max(1, len(self._lanes)))


def _sizes(due: Sequence[Held], most: int) -> list[int]:
    return [held[3].size for held in due[:most]]
