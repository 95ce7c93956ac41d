"""The flood breaker: which partitions are taken, and from which record on one is not.

A partition whose records are refused one after the other is stopped: a producer sends what we cannot
read, or we read it wrongly, and dead letters by the million would help nobody. Nothing of the bad run
that is not published yet is published, and nothing is lost: it lies in its log, and the group's offset
stands before it.

    taken  --too many refused-->  stopped  --`Trials`: it may go on-->  returning
      ^                                                                     |
      |                            draining  <--a bad run lies ahead--------+
      +---its end was reached-------/                                       |
      +---the chunk that brings its records again---------------------------+

What is stopped, and what is drained, stands beside the committed offset (`records/flood_note.py`), so it
holds for the next process and for another worker. While a partition is stopped its first record and its
newest ones are tried beside the work (`Trials`); of the partition nothing is held, so that no memory is
taken and its neighbours do not wait.

A record is counted once, however often its batch is computed. Not counted are records that are none of
the use case's, and replays: an operator sent them, and their fate says nothing of a producer.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from stream_app.alignment.allowance import Allowance
from stream_app.flood.refusal_counts import Limits, RefusalCounts
from stream_app.flood.valve import Valve
from stream_app.flood.verdict import Trials, Verdict
from stream_app.observer.events import PartitionStopped, PartitionWentOn, StoppedPartitions
from stream_app.observer.observer import Observer
from stream_app.records.batch import Batch
from stream_app.records.chunk import Chunk
from stream_app.records.flood_note import FloodNote
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.start_position import StartPosition

__all__ = ["FloodBreaker"]

_FOUND_STOPPED: Final = "the worker that held it before stopped it"


class _Taken:
    """A partition whose records are taken."""

    __slots__ = ("counted", "counts")

    def __init__(self, limits: Limits, before: int) -> None:
        """`before`: the offset of its first record."""
        self.counts = RefusalCounts(limits)
        self.counted = before - 1
        """Records up to this offset are counted."""


class _Drained:
    """A partition whose bad run is let through at a limited rate."""

    __slots__ = ("allowance", "filled_at", "until")

    def __init__(self, until: int, now: float) -> None:
        self.until = until
        self.allowance = Allowance()
        self.filled_at = now


class _Stopped:
    """A partition that is not taken."""

    __slots__ = ("event", "is_returning", "is_shut", "offset", "until")

    def __init__(self, event: PartitionStopped) -> None:
        self.event = event
        self.offset = event.offset
        self.is_shut = False
        """Whether its records are fetched no more. One that was found stopped is shut when its first
        record comes: those before that are still to be taken."""
        self.is_returning = False
        """Whether it was let go on, and its records are yet to come."""
        self.until: int | None = None
        """Of one that returns: the end of its bad run."""


class FloodBreaker:
    """Of one worker; every call is made on the compute thread."""

    def __init__(
        self,
        limits: Limits | None,
        valve: Valve,
        trials: Trials,
        observer: Observer,
        *,
        letters_per_second: float,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`limits`: None stops nothing, and lets go on what a worker before had stopped.

        `letters_per_second`: how fast a bad run is dead-lettered.
        """
        self._limits = limits
        self._valve = valve
        self._trials = trials
        self._observer = observer
        self._rate = letters_per_second
        self._clock = clock
        self._monotonic = monotonic
        self._held: set[Partition] = set()
        self._taken: dict[Partition, _Taken] = {}
        self._drained: dict[Partition, _Drained] = {}
        self._stopped: dict[Partition, _Stopped] = {}

    def chunk(self, chunk: Chunk) -> None:
        """Take note of partitions that came, went and are read again; `align` knows the chunk already."""
        for partition in chunk.revoked:
            self._forget(partition)
        for start in chunk.assigned:
            self._begin(start)
        for partition in chunk.rewound:
            self._returned(partition)
        if chunk.revoked and (self._stopped or self._limits is not None):
            self._tell()

    def look(self) -> None:
        """Let go on what may, and let those that are drained have their share of the time passed."""
        for verdict in self._trials.verdicts() if self._stopped else ():
            self._let_go_on(verdict)
        if self._drained:
            now = self._monotonic()
            for drained in self._drained.values():
                more = (now - drained.filled_at) * self._rate
                drained.allowance.left = min(max(1.0, self._rate), drained.allowance.left + more)
                drained.filled_at = now

    def taken(self, items: Sequence[Item]) -> list[Item]:
        """The items without those of stopped partitions."""
        stopped = self._stopped
        if not stopped:
            return list(items)
        kept = []
        for item in items:
            found = stopped.get(item.record.partition)
            if found is None or item.offset < found.offset:
                kept.append(item)
            elif not found.is_shut:
                found.is_shut = True
                self._valve.shut(item.record.partition, item)
        return kept

    def stops(self, batch: Batch) -> bool:
        """Count what became of a batch's records; return whether a partition is stopped by them.

        Then the batch must not be published: it is to be made again of what `taken` leaves of it.
        """
        if self._limits is None:
            return False
        failing = {item.record.partition for item in batch.items if item.failure is not None}
        passed = Counter(
            [
                item.record.partition
                for item in batch.items
                if item.event is not None and item.failure is None and item.first_origin is None
            ]
        )
        for partition, records in passed.items():
            self._passed(partition, records, batch.ends[partition], alone=partition not in failing)
        for partition, end in batch.ends.items():
            self._reached(partition, end)
        if not failing:
            return False
        of: dict[Partition, list[Item]] = {partition: [] for partition in failing}
        for item in batch.items:
            if (mine := of.get(item.record.partition)) is not None:
                mine.append(item)
        # Of all of them, not only up to the first that is stopped.
        return sum([self._refuses(partition, mine) for partition, mine in of.items()]) > 0

    def _passed(self, partition: Partition, records: int, end: int, *, alone: bool) -> None:
        if (drained := self._drained.get(partition)) is not None:
            drained.allowance.left += records  # it is for letters
        elif alone and (taken := self._taken.get(partition)) is not None and end > taken.counted:
            taken.counts.passed(records)
            taken.counted = end

    def _reached(self, partition: Partition, end: int) -> None:
        drained = self._drained.get(partition)
        if drained is not None and end + 1 >= drained.until:
            del self._drained[partition]
            self._take(partition, drained.until)

    def _refuses(self, partition: Partition, items: Sequence[Item]) -> bool:
        """Count the records of a partition, of which some fail; return whether it is stopped by them."""
        taken = self._taken.get(partition)
        if taken is None:
            return False
        counts, counted, head, passed = taken.counts, taken.counted, None, 0
        for item in items:
            failure = item.failure
            if item.offset <= counted or item.first_origin is not None:
                continue
            if failure is None:
                if not item.is_skipped:
                    passed += 1
                    head = None
                continue
            if passed:
                counts.passed(passed)
                passed = 0
            head = head or item
            why = counts.refused(failure.disposition)
            if why is not None:
                told = f"{why}, the last one at {failure.stage} as {failure.reason}"
                self._stop(partition, head, told)
                return True
        if passed:
            counts.passed(passed)
        taken.counted = max([item.offset for item in items])
        return False

    def _stop(self, partition: Partition, head: Item, why: str) -> None:
        del self._taken[partition]
        event = PartitionStopped(partition, head.offset, why, self._clock(), is_new=True)
        stopped = self._stopped[partition] = _Stopped(event)
        stopped.is_shut = True
        self._valve.shut(partition, head)
        self._valve.note(partition, FloodNote("stopped", head.offset, int(event.since)))
        self._trials.begin(partition, head.offset, at_once=False)
        self._observer.tell(event)
        self._tell()

    def _begin(self, start: StartPosition) -> None:
        partition, note = start.partition, start.flood
        self._held.add(partition)
        if self._limits is None or note is None or not note.holds_at(start.offset):
            self._take(partition, start.offset, is_noted=note is not None)
        elif note.kind == "draining":
            self._drain(partition, note.offset)
        else:
            event = PartitionStopped(
                partition, note.offset, _FOUND_STOPPED, float(note.since), is_new=False
            )
            self._stopped[partition] = _Stopped(event)
            self._trials.begin(partition, note.offset, at_once=True)
            self._observer.tell(event)
            self._tell()

    def _take(self, partition: Partition, offset: int, *, is_noted: bool = True) -> None:
        if self._limits is not None:
            self._taken[partition] = _Taken(self._limits, offset)
        if is_noted:
            self._valve.limit(partition, None)
            self._valve.note(partition, None)

    def _drain(self, partition: Partition, until: int) -> None:
        drained = self._drained[partition] = _Drained(until, self._monotonic())
        self._valve.limit(partition, drained.allowance)

    def _forget(self, partition: Partition) -> None:
        self._held.discard(partition)
        self._taken.pop(partition, None)
        self._drained.pop(partition, None)
        if self._stopped.pop(partition, None) is not None:
            self._trials.forget(partition)

    def _let_go_on(self, verdict: Verdict) -> None:
        partition = verdict.partition
        stopped = self._stopped.get(partition)
        if stopped is None or stopped.offset != verdict.offset or stopped.is_returning:
            return
        self._trials.forget(partition)
        stopped.until = verdict.until
        stopped.is_returning = True
        self._observer.tell(PartitionWentOn(partition, verdict.offset, verdict.how, verdict.until))
        if stopped.is_shut:
            self._valve.open(partition, stopped.offset)
        else:
            self._returned(partition)

    def _returned(self, partition: Partition) -> None:
        stopped = self._stopped.get(partition)
        if stopped is None or not stopped.is_returning:
            return
        del self._stopped[partition]
        self._valve.opened(partition)
        if stopped.until is None or stopped.until <= stopped.offset:
            self._take(partition, stopped.offset)
        else:
            note = FloodNote("draining", stopped.until, int(stopped.event.since))
            self._valve.note(partition, note)
            self._drain(partition, stopped.until)
        self._tell()

    def _tell(self) -> None:
        stopped = tuple(each.event for each in self._stopped.values())
        self._observer.tell(StoppedPartitions(stopped, len(self._held)))
