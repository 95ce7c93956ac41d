"""What is committed beside an offset of a partition that the flood breaker has stopped, or lets through slowly.

A stop must outlive the process and move with the partition: a worker that did not know of it would
dead-letter the next records of the bad run before it stopped as well. So it stands in the metadata of
the committed offset, as the count of starts does (`start_count`).
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

__all__ = ["FloodNote", "flood_note"]

_TAG = re.compile(r" flood=(stopped|draining):(\d{1,18}):(\d{1,18})(?: |$)")


class FloodNote(NamedTuple):
    """Of one partition."""

    kind: Literal["stopped", "draining"]
    offset: int
    """stopped: the first record that is not taken. draining: the first one behind the bad run, which is
    dead-lettered at a limited rate until there."""
    since: int
    """When it was stopped, in seconds since the epoch."""

    def tag(self) -> str:
        """What the metadata of a committed offset ends with."""
        return f" flood={self.kind}:{self.offset}:{self.since}"

    def holds_at(self, offset: int) -> bool:
        """Whether it says anything still of a group that goes on from `offset`.

        A bad run is over where the group is at its end: what is left there may be markers of transactions.
        """
        return self.offset >= offset if self.kind == "stopped" else self.offset > offset

    def from_start(self, start: int) -> FloodNote | None:
        """What holds of a log that begins at `start` by now: retention does not wait for a stopped partition.

        It is stopped at what is left of the bad run; a run that is gone need not be drained.
        """
        if self.offset >= start:
            return self
        return self._replace(offset=start) if self.kind == "stopped" else None


def flood_note(metadata: str | None) -> FloodNote | None:
    """The note in the metadata of a committed offset, if there is one."""
    found = _TAG.search(metadata or "")
    if found is None:
        return None
    kind: Literal["stopped", "draining"] = "stopped" if found[1] == "stopped" else "draining"
    return FloodNote(kind, int(found[2]), int(found[3]))
