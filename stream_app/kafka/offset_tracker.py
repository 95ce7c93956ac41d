"""Stage commit: which offsets may be committed, and how far each partition is behind.

A batch is a prefix of each of its partitions and batches finish in order. So what may be committed of
a partition is the next offset to read: the one after its last record in the last finished batch. There
are two other cases:

- Where all records are finished and only control records of transactions follow, it is the end of the
  partition (`at_end`). Otherwise a lag would remain that nobody can work off.
- Where an assignment begins, it is the offset that it is read from, with what is committed beside it
  (`begin`). One that no worker committed is committed only when `recovery` has checked the state
  against it (`confirm`).

The client thread takes offsets from here (`take_due`) and commits them. With exactly once the offsets of
records are committed with their predictions instead: `delivery/transactions.py` asks `still_ours` for
them, and says with `finished` that they are committed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from stream_app.kafka.commit_notes import CommitNotes
from stream_app.records.batch import Batch
from stream_app.records.flood_note import FloodNote
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.start_position import StartPosition

__all__ = ["OffsetTracker", "Settle", "Unfinished"]

#: Waits until no batch with these partitions (None: any) is under way, for so many seconds (None:
#: without end); returns whether that is so.
Settle = Callable[[Collection[Partition] | None, float | None], bool]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The oldest records of a partition that are consumed and not finished."""

    last_offset: int
    timestamp: float
    """Of the first of them, in seconds since the epoch."""


class OffsetTracker:
    """Keeps account of what was consumed and what is finished; safe to share between threads."""

    def __init__(self) -> None:
        self.urgent = False
        """Whether somebody waits for a commit."""
        self.exclusive = threading.Lock()
        """Held while offsets are committed in a transaction or beside one: a plain commit that is
        late must not take back what a transaction committed further on."""
        self._changed = threading.Condition()
        # Work of an assignment may be in hand for long after its end.
        self.notes: WeakKeyDictionary[Partition, CommitNotes] = WeakKeyDictionary()
        """What is committed beside the offsets of each assignment."""
        self._revoked: WeakSet[Partition] = WeakSet()
        self._ended: WeakSet[Partition] = WeakSet()
        self._in_flight: dict[Partition, int] = {}
        self._unfinished: dict[Partition, deque[Unfinished]] = {}
        self._finished: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        self._committable: dict[Partition, int] = {}
        self._committed: dict[Partition, int] = {}
        self._tried: dict[Partition, int] = {}
        """The last offset that was given to a commit, whatever became of it."""
        self._to_note: WeakSet[Partition] = WeakSet()
        """What stands beside their offsets has changed, and is not given to a commit yet."""
        self._kept: tuple[dict[Partition, Any], ...] = (
            self._unfinished, self._finished, self._ends, self._committed, self._tried,
        )  # fmt: skip

    def begin(self, start: StartPosition) -> None:
        """A partition was assigned and is read from there."""
        with self._changed:
            self.notes[start.partition] = CommitNotes(start)
            self._finished[start.partition] = start.offset - 1
            # An offset that no worker committed is looked at first, by `recovery`.
            if start.committed_by == "worker":
                self._committed[start.partition] = start.offset
                self._committable[start.partition] = start.offset

    # How often a partition was begun without getting anywhere: nobody but the tracker changes it.

    def failed_starts(self, partition: Partition) -> int:
        """How many starts before this one got nowhere."""
        return self.notes[partition].starts.found

    def suspected_until(self, partition: Partition) -> int:
        """The offset from which on this start counts as one that got somewhere."""
        return self.notes[partition].starts.until

    def suspect(self, partition: Partition, until: int) -> None:
        """The record that ended earlier starts lies before `until`, if there is one."""
        self.notes[partition].starts.region(until)

    def set_rebuilding(self, partition: Partition, rebuilding: bool) -> None:
        """Say whether records are read again for the state, so that offsets prove no progress."""
        self.notes[partition].starts.rebuilding = rebuilding

    def end_in_order(self, partitions: Iterable[Partition]) -> None:
        """The assignments end without a crash: these starts do not count."""
        for partition in partitions:
            self.notes[partition].starts.leave_in_order()

    def give_back_changed_starts(self, partitions: Iterable[Partition]) -> bool:
        """Commit start offsets again whose count has changed; return whether there are any."""
        changed = [p for p in partitions if self.notes[p].starts.must_be_told()]
        for partition in changed:
            self.give_back(partition, self.notes[partition].starts.start)
        return bool(changed)

    def confirm(self, starts: Sequence[StartPosition]) -> None:
        """Commit where partitions start, and return when that is done or they are not ours.

        Should the process die before it commits more, its successor must know that it was here.
        """

        def known() -> bool:
            return all(
                s.partition in self._committed or s.partition in self._revoked for s in starts
            )

        with self._changed:
            for start in starts:
                self._committable.setdefault(start.partition, start.offset)
            self.urgent = bool(starts)
            self._changed.wait_for(known)

    def note_flood(self, partition: Partition, note: FloodNote | None) -> None:
        """Commit this beside the partition's offsets from now on; at once beside the present one."""
        with self._changed:
            self.notes[partition].flood = note
            if partition not in self._ended:
                self._to_note.add(partition)
                self._note(partition)

    def _note(self, partition: Partition) -> None:
        """Commit the present offset once more, for what stands beside it, as soon as that may be done.

        Not while a commit further on is under way: it would be taken back. It may have been made
        before the note was.
        """
        newest = max(self._committable.get(partition, -1), self._committed.get(partition, -1))
        if partition in self._to_note and newest >= max(0, self._tried.get(partition, -1)):
            self._committable[partition] = newest
            self._to_note.discard(partition)

    def held_back(self, partition: Partition, offset: int, timestamp: float) -> None:
        """The record at `offset`, of `timestamp` (seconds), and those behind it are consumed again later."""
        with self._changed:
            if partition in self._ended:
                return
            entries = self._unfinished.get(partition, ())
            kept = deque(entry for entry in entries if entry.last_offset < offset)
            kept.append(Unfinished(offset, timestamp))
            self._unfinished[partition] = kept

    def read_again(self, partition: Partition, offset: int) -> None:
        """What was consumed behind `offset`, where the partition was held back, comes once more."""
        with self._changed:
            entries = self._unfinished.get(partition)
            if entries is not None:
                kept = deque(entry for entry in entries if entry.last_offset <= offset)
                self._unfinished[partition] = kept

    def consumed(self, partition: Partition, last_offset: int, timestamp: float) -> None:
        """Records up to `last_offset` came in, the first of them from `timestamp` (seconds)."""
        with self._changed:
            self._unfinished.setdefault(partition, deque()).append(
                Unfinished(last_offset, timestamp)
            )

    def at_end(self, partition: Partition, offset: int) -> None:
        """The partition ends at `offset`: between its last record and that there are only control records."""
        with self._changed:
            self.notes[partition].starts.at_end(offset)
            self._ends[partition] = offset
            self._pass_markers(partition)

    def admit(self, items: Sequence[Item]) -> tuple[list[Item], dict[Partition, int]]:
        """Let a batch begin its way: the items still ours, and the last offset by partition."""
        with self._changed:
            mine, ends = list(items), _ends(items)
            if gone := self._revoked.intersection(ends):
                mine = [item for item in mine if item.record.partition not in gone]
                ends = _ends(mine)
            for partition in ends:
                self._in_flight[partition] = self._in_flight.get(partition, 0) + 1
        return mine, ends

    def revoke(self, partitions: Collection[Partition]) -> None:
        """Admit nothing more of these partitions."""
        with self._changed:
            self._revoked.update(partitions)
            self._changed.notify_all()

    def is_revoked(self, partition: Partition) -> bool:
        """Whether it is being given away, or was: nothing more of it begins its way."""
        return partition in self._revoked

    def has_ended(self, partition: Partition) -> bool:
        """Whether the assignment has ended: nothing more of it may be published or committed."""
        return partition in self._ended

    def still_ours(self, batches: Iterable[Batch]) -> dict[Partition, int]:
        """Next offset of each partition of these batches whose assignment has not ended."""
        with self._changed:
            offsets = {
                partition: end + 1
                for batch in batches
                for partition, end in batch.ends.items()
                if partition not in self._ended
            }
            self._tried |= offsets
            return offsets

    def finished(self, batch: Batch, *, committed: bool = False) -> None:
        """All of a batch is published, acknowledged and written.

        `committed`: its offsets are committed already, with its predictions.
        """
        with self._changed:
            for partition, end in batch.ends.items():
                self._leave(partition)
                if partition in self._ended:
                    continue
                self._finished[partition] = end
                (self._committed if committed else self._committable)[partition] = end + 1
                self._note(partition)
                unfinished = self._unfinished.get(partition)
                while unfinished and unfinished[0].last_offset <= end:
                    unfinished.popleft()
                self._pass_markers(partition)
            self._changed.notify_all()

    def abandoned(self, batch: Batch) -> None:
        """A batch will not be finished by this process."""
        with self._changed:
            for partition in batch.ends:
                self._leave(partition)
            self._changed.notify_all()

    def _leave(self, partition: Partition) -> None:
        left = self._in_flight.get(partition, 1) - 1
        if left:
            self._in_flight[partition] = left
        else:
            self._in_flight.pop(partition, None)

    def _pass_markers(self, partition: Partition) -> None:
        end = self._ends.get(partition)
        known = self._finished.get(partition)
        if end is not None and known is not None and not self._unfinished.get(partition):
            if end > max(known + 1, self._committable.get(partition, -1)):
                notes = self.notes[partition]
                first, behind = notes.control_records
                notes.control_records = (first if behind == known + 1 else known + 1, end)
                self._committable[partition] = end
            del self._ends[partition]

    def committed(self, partition: Partition, offset: int) -> None:
        """The broker keeps `offset` as the next one to read."""
        with self._changed:
            self._committed[partition] = offset
            if self._committable.get(partition, offset) < offset:
                del self._committable[partition]
            self._note(partition)
            self._changed.notify_all()

    def next_offset(self, partition: Partition) -> int | None:
        """The offset the broker keeps for the group, as far as this worker knows."""
        with self._changed:
            return self._committed.get(partition)

    @property
    def has_due(self) -> bool:
        """Whether there is something to commit."""
        return bool(self._committable)

    def take_due(self) -> dict[Partition, int]:
        """What may be committed since the last call: next offset by partition.

        One that is behind a commit under way waits for its end: brokers keep what is said last.
        """
        with self._changed:
            self.urgent = False
            due = {
                partition: offset
                for partition, offset in self._committable.items()
                if offset >= self._tried.get(partition, -1)
            }
            for partition in due:
                del self._committable[partition]
            self._tried |= due
            return due

    def give_back(self, partition: Partition, offset: int) -> None:
        """A commit of `offset` failed: it may be tried again, unless a later one is due."""
        with self._changed:
            due = self._committable.get(partition, -1)
            # The one that the broker keeps may be committed again: what stands beside it changes.
            if (
                partition not in self._ended
                and offset > due
                and offset >= self._committed.get(partition, -1)
            ):
                self._committable[partition] = offset

    def forget(self, partitions: Collection[Partition]) -> None:
        """The assignments ended."""
        with self._changed:
            self._ended.update(partitions)
            for partition in partitions:
                for kept in self._kept:
                    kept.pop(partition, None)
                self._committable.pop(partition, None)

    def settle(self, partitions: Collection[Partition] | None, timeout: float | None) -> bool:
        """Wait until no batch with these partitions (None: any) is under way; timeout in seconds."""

        def settled() -> bool:
            if partitions is None:
                return not self._in_flight
            return not any(partition in self._in_flight for partition in partitions)

        with self._changed:
            return self._changed.wait_for(settled, timeout)

    def oldest_unfinished(self, partition: Partition) -> float | None:
        """Timestamp of the oldest record consumed and not finished, in seconds; None if none is."""
        with self._changed:
            unfinished = self._unfinished.get(partition)
            return unfinished[0].timestamp if unfinished else None


def _ends(items: Sequence[Item]) -> dict[Partition, int]:
    return {item.record.partition: item.record.offset for item in items}
