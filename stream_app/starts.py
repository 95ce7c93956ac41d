"""How often a partition was begun at its committed offset without getting past it.

A process that dies of a native crash has no time to say so. But it began at some offset and never
got further, so starts are counted where they survive the process and move with the partition: in
the metadata of the committed offset. When a partition is assigned, its offset is committed again
with one start more; an orderly end of the assignment takes that back, a crash cannot; and what is
committed further on has no count. After a start that got nowhere more is asked: the count goes on
until the partition is past the region in which the record that kills may lie, or at its end, lest
a little progress now and then hide it.
"""

from __future__ import annotations

import re

__all__ = ["StartCount"]

_TAG = re.compile(r" starts=(\d{1,9})(?: |$)")


class StartCount:
    """The count of one assignment.

    Written by the client thread, but for the region, which is the compute thread's.
    """

    __slots__ = ("_attempted", "_in_order", "_start", "end", "found", "until")

    def __init__(self) -> None:
        self.found = 0
        """Starts before this one that got nowhere."""
        self._start = 0
        self._attempted = False
        """Whether an offset past the start was given to a commit, whatever became of it."""
        self._in_order = False
        self.until = 0
        """Offset from which on this start counts as one that got somewhere."""
        self.end = -1
        """Where the partition ended when that was seen last; -1: never."""

    def begin(self, start: int, metadata: str | None) -> None:
        """The partition is read from `start`; `metadata` came with its committed offset."""
        tag = _TAG.search(metadata or "")
        self.found = int(tag[1]) if tag else 0
        self._start = start
        self.until = start + 1 if not self.found else 2**63  # until `region` says more

    def region(self, until: int) -> None:
        """The record that kills lies before `until`, if there is one."""
        self.until = until if self.end < 0 else min(until, max(self.end, self._start))

    def tag(self, offset: int) -> str:
        """What the metadata of a commit of `offset` ends with: " starts=N", or nothing."""
        if offset > self._start:
            self._attempted = True
        if offset >= self.until:
            return ""
        count = self.found if self._in_order else self.found + 1
        return f" starts={count}" if count else ""

    def at_end(self, offset: int) -> bool:
        """The partition ends at `offset`; return whether its start has to be committed again.

        That is so where nothing is there to be read: such a start says nothing.
        """
        self.end = offset
        counted = self.until > self._start
        self.until = min(self.until, offset)
        return counted and offset <= self._start and not self._attempted

    def leave_in_order(self) -> bool:
        """The assignment ends without a crash: return whether its start must be committed again.

        Never where a commit further on was tried: its answer may be on the way.
        """
        self._in_order = True
        return not self._attempted and self._start < self.until

    @property
    def start(self) -> int:
        """The offset it began at."""
        return self._start
