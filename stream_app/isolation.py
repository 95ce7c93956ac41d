"""A record that kills the process does not kill it for ever.

A native crash leaves no time to say which record it was. What can be known is that a process began
at some offset and never got past it, so starts are counted where they survive the process and move
with the partition: in the metadata of the group's committed offset.

- When a partition is assigned, its offset is committed again with one start more. An orderly end of
  the assignment takes that back; a crash cannot.
- The first commit further on clears the count. After a start that got nowhere more is asked:
  the count is cleared `region_records` further on, or at the end of the partition, so that a
  little progress now and then does not hide a record that kills.
- With each start that got nowhere batches are halved, for memory may be what runs out.
- From `starts` such starts on, the records of the region are first tried in a child process, one by
  one (`trial`). One that kills the child is dead-lettered and its neighbours pass; the region then
  begins anew behind it, for such records seldom come alone.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from stream_app.logs import get_logger
from stream_app.records import Failure, Item, Partition, Record

__all__ = ["CrashIsolation"]

log = get_logger(__name__)

_TAG = re.compile(r"(?:^| )starts=(\d{1,9})(?: |$)")


@dataclass(slots=True)
class _Suspicion:
    """What is known of an assigned partition's earlier starts."""

    found: int
    """Starts before this one that got nowhere."""
    written: int
    """Offset of the last commit, and so where its count stands."""
    until: int
    """Offset at which the region ends."""
    end: int = -1
    """Where the partition ended when that was last seen; -1: never."""
    orderly: bool = False
    """Whether this start ends without a crash: it does not count then."""

    def starts(self, offset: int) -> int:
        """The count to commit with an offset."""
        if offset >= self.until:
            return 0
        return self.found if self.orderly else self.found + 1


class CrashIsolation:
    """Counts starts, and tries records before the worker does; safe to share between threads."""

    def __init__(
        self,
        attempt: Callable[[Record], Failure | None],
        *,
        starts: int,
        region_records: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`attempt` tries a record in a child process and returns what became of the child.

        `starts`: after so many that got nowhere, records are tried. `region_records`: how far
        behind the committed offset the records that a process had in hand may lie.
        """
        self._attempt = attempt
        self._starts = starts
        self._region = region_records
        self._clock = clock
        self._lock = threading.Lock()
        self._suspicions: dict[Partition, _Suspicion] = {}
        self._due: dict[Partition, int] = {}
        self._crashed = False
        self._worst = 0

    # Called by the thread that commits.

    def assigned(self, partition: Partition, offset: int, metadata: str | None) -> None:
        """A partition begins at the committed `offset`; `metadata` came with it."""
        tag = _TAG.search(metadata or "")
        found = int(tag[1]) if tag else 0
        region = self._region if found else 1
        with self._lock:
            self._suspicions[partition] = _Suspicion(found, offset, offset + region)
            self._due[partition] = offset
            self._judge()
        if found:
            log.warning(
                "%s: %d starts made no progress from offset %d on; %s",
                partition,
                found,
                offset,
                "records are first tried in a child process"
                if found >= self._starts
                else "batches are smaller for a while",
            )

    def at_end(self, partition: Partition, offset: int) -> None:
        """The partition ends at `offset`: nothing beyond was in anybody's hands."""
        with self._lock:
            suspicion = self._suspicions.get(partition)
            if suspicion is None:
                return
            suspicion.end = offset
            suspicion.until = min(suspicion.until, offset)
            if suspicion.written >= suspicion.until:
                self._due[partition] = suspicion.written
                self._clear(partition)

    def due(self) -> dict[Partition, int]:
        """Offsets to commit again because their count has changed; each is told once."""
        with self._lock:
            due, self._due = self._due, {}
            return due

    def tag(self, partition: Partition, offset: int) -> str:
        """What to add to the metadata of a commit of `offset`: " starts=N", or nothing."""
        with self._lock:
            suspicion = self._suspicions.get(partition)
            if suspicion is None:
                return ""
            suspicion.written = offset
            starts = suspicion.starts(offset)
            if not starts and offset >= suspicion.until:
                self._clear(partition)
            return f" starts={starts}" if starts else ""

    def given_up(self, partitions: Collection[Partition]) -> None:
        """The assignments end without a crash: these starts do not count."""
        with self._lock:
            for partition in partitions:
                suspicion = self._suspicions.get(partition)
                if suspicion is not None and not self._crashed:
                    suspicion.orderly = True
                    self._due[partition] = suspicion.written

    def forget(self, partitions: Collection[Partition]) -> None:
        """The assignments have ended."""
        with self._lock:
            for partition in partitions:
                self._due.pop(partition, None)
                self._clear(partition)

    def crashed(self) -> None:
        """The process ends because something went wrong at work: this start counts."""
        self._crashed = True

    def _clear(self, partition: Partition) -> None:
        suspicion = self._suspicions.pop(partition, None)
        if suspicion is not None and suspicion.found:
            self._judge()
            log.info("%s: past the records that earlier starts may have died of", partition)

    def _judge(self) -> None:
        self._worst = max((s.found for s in self._suspicions.values()), default=0)

    # Called by the thread that computes.

    def batch_limit(self, records: int) -> int:
        """How many of the usual `records` a batch may have now."""
        worst = self._worst
        # Tried one by one in vain: it takes the worker's own state, or several records, to crash.
        return max(1, records >> worst) if worst <= self._starts else 1

    def decode(
        self, records: Sequence[Record], decode: Callable[[Sequence[Record]], list[Item]]
    ) -> list[Item]:
        """Decode records, those that kill left out: they get a failure instead of an event."""
        if self._worst < self._starts:
            return decode(records)
        failures = {record: failure for record in records if (failure := self._tried(record))}
        items = iter(decode([record for record in records if record not in failures]))
        return [
            self._isolated(record, failures[record]) if record in failures else next(items)
            for record in records
        ]

    def _tried(self, record: Record) -> Failure | None:
        partition = record.partition
        with self._lock:
            suspicion = self._suspicions.get(partition)
            if suspicion is None or suspicion.found < self._starts or partition.revoked:
                return None
            if record.offset >= suspicion.until:
                return None
        failure = self._attempt(record)
        if failure is not None:
            log.error(
                "%s %d is isolated, stage %s: %s",
                partition,
                record.offset,
                failure.stage,
                failure.message,
            )
            with self._lock:
                until = record.offset + 1 + self._region
                known = suspicion.end > record.offset
                suspicion.until = min(until, suspicion.end) if known else until
        return failure

    def _isolated(self, record: Record, failure: Failure) -> Item:
        now = self._clock()
        item = Item(record, None, now if record.timestamp is None else min(now, record.timestamp))
        item.failure = failure
        return item
