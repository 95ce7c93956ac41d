"""How often a partition was begun at its committed offset without getting past it.

A process that dies of a native crash has no time to say so. But it began at some offset and never
got further, so starts are counted where they survive the process and move with the partition: in
the metadata of the committed offset. When a partition is assigned, its offset is committed again
with one start more; an orderly end of the assignment takes that back, a crash cannot; and what is
committed further on has no count. After a start that got nowhere, a little progress does not end the
count, or it would hide the record that kills: the count goes on until the partition is past the
region in which that record may lie, or at its end.
"""

from __future__ import annotations

import re

__all__ = ["StartCount", "failed_starts"]

_TAG = re.compile(r" starts=(\d{1,9})(?: |$)")


def failed_starts(metadata: str | None) -> int:
    """How many starts that got nowhere the metadata of a committed offset tells of."""
    tag = _TAG.search(metadata or "")
    return int(tag[1]) if tag else 0


class StartCount:
    """The count of one assignment; `OffsetTracker` owns it, and everybody else asks that or tells it."""

    __slots__ = (
        "_attempted", "_in_order", "_start", "_told", "end", "found", "rebuilding", "until",
    )  # fmt: skip

    def __init__(self, start: int, found: int) -> None:
        """The partition is read from `start`."""
        self.found = found
        """Starts before this one that got nowhere."""
        self._start = start
        self._told = 0
        """The count that the last commit of the start came with."""
        self._attempted = False
        """Whether an offset past the start was given to a commit, whatever became of it."""
        self._in_order = False
        self.until = start + 1 if not found else 2**63  # until `region` says more
        """Offset from which on this start counts as one that got somewhere."""
        self.end = -1
        """Where the partition ended when that was seen last; -1: never."""
        self.rebuilding = True
        """Whether its records are read again for the state, or may have to be: what is committed
        meanwhile says nothing of those."""

    @property
    def start(self) -> int:
        """The offset it began at."""
        return self._start

    def region(self, until: int) -> None:
        """The record that kills lies before `until`, if there is one."""
        self.until = until if self.end < 0 else min(until, max(self.end, self._start))

    def at_end(self, offset: int) -> None:
        """The partition ends at `offset`: nothing beyond was in anybody's hands."""
        self.end = offset
        self.until = min(self.until, offset)

    def tag(self, offset: int) -> str:
        """What the metadata of a commit of `offset` ends with: " starts=N", or nothing."""
        got_somewhere = offset >= self.until and not self.rebuilding
        count = 0 if got_somewhere else self.found + (not self._in_order)
        if offset > self._start:
            self._attempted = True
        else:
            self._told = count
        return f" starts={count}" if count else ""

    def must_be_told(self) -> bool:
        """Whether the start offset has to be committed again, because the count beside it has changed.

        The count falls where the partition had nothing to be read, for such a start proves nothing, and
        where the assignment ends in order. Where a commit further on was tried, the start is never
        committed again: the answer to that commit may be on the way.
        """
        if self._attempted or not self._told:
            return False
        if self._in_order:
            return self._told > self.found
        return 0 <= self.end <= self._start and not self.rebuilding

    def leave_in_order(self) -> None:
        """The assignment ends without a crash: this start does not count."""
        self._in_order = True
