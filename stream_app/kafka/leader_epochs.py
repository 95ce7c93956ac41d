"""Under which leader each record of a partition was written, for the offsets that are committed.

An offset alone does not tell whether the log still holds what was read: after an unclean election
other records may stand there. With the leader's epoch beside it the brokers can tell (KIP-320), and
librdkafka asks them before it reads on.
"""

from __future__ import annotations

from typing import Final

__all__ = ["UNKNOWN", "LeaderEpochs"]

UNKNOWN: Final = -1
"""As Kafka writes an epoch that nobody knows."""


class LeaderEpochs:
    """Of one assignment. The client thread writes it; `before` may be asked by any thread."""

    __slots__ = ("_begin", "_changes", "last_offset")

    def __init__(self, start: int, epoch: int | None) -> None:
        """The partition is read from `start`; `epoch` was committed beside that offset."""
        self._begin = start, UNKNOWN if epoch is None else epoch
        self._changes: list[tuple[int, int]] = []
        """First offset consumed of each epoch, and the epoch."""
        self.last_offset = -1
        """Of the records consumed."""

    @property
    def newest(self) -> int | None:
        """The epoch of the last record that was consumed; None where brokers tell none."""
        return self._changes[-1][1] if self._changes else None

    def add(self, offset: int, epoch: int | None) -> None:
        """A record was written under an epoch."""
        if epoch is not None and epoch != self.newest:
            self._changes.append((offset, epoch))

    def rewind(self, offset: int) -> None:
        """Records are read again from `offset` on."""
        self._changes = [change for change in self._changes if change[0] < offset]
        self.last_offset = min(self.last_offset, offset - 1)

    def before(self, offset: int) -> int:
        """The epoch of the record right before `offset`, or `UNKNOWN`.

        Right after control records of transactions it is `UNKNOWN`: the epoch of an earlier record
        would not do, because the log of that epoch's leader may have ended before them.
        """
        if offset == self._begin[0]:
            return self._begin[1]
        if offset - 1 > self.last_offset:
            return UNKNOWN
        for first, epoch in reversed(self._changes):
            if first < offset:
                return epoch
        return UNKNOWN
