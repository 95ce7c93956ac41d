"""When records are due, whatever becomes of those before them: the schedule of an open loop."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Schedule", "percentile"]


@dataclass(frozen=True)
class Schedule:
    """So many records a second from a moment on; times in seconds."""

    start: float
    rate: float
    count: int

    def due_by(self, now: float) -> int:
        """How many records are to be sent by now."""
        return max(0, min(self.count, int((now - self.start) * self.rate) + 1))

    def at(self, number: int) -> float:
        """When the record of this number, from 0 on, is due."""
        return self.start + number / self.rate


def percentile(ordered: list[float], share: float) -> float:
    """The smallest value that so large a share of the values does not exceed; `ordered` not empty."""
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]
