"""What is to be thought of a partition, from the last few looks at it: no threshold has to be tuned.

Most of the verdicts and their rules are Burrow's (https://github.com/linkedin/Burrow/wiki/Consumer-Lag-Evaluation-Rules),
but for what tells a stop from a stall. Burrow reads when offsets were committed; asked from outside, the
brokers tell who holds the partition, which says the same and more: nobody (stop), or somebody who does not
get on (stall). That the flood breaker has stopped a partition stands beside its committed offset.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from itertools import pairwise
from typing import Final, NamedTuple

__all__ = ["LOOKS", "Look", "Verdict", "Window"]

LOOKS: Final = 10
"""Looks in a window, as in Burrow."""


class Verdict(Enum):
    """What is to be thought of a partition."""

    UNDECIDED = "undecided"
    """Too few looks yet."""
    OK = "ok"
    """Nothing waits, or the group catches up, or did within the window."""
    WARNING = "warning"
    """The group gets on, and falls behind at every look."""
    STALL = "stall"
    """Somebody holds the partition and does not get on."""
    STOP = "stop"
    """Records wait, and nobody holds the partition."""
    REWIND = "rewind"
    """The group was set back to records that it had done."""

    FLOOD = "flood"
    """The flood breaker has stopped the partition: a worker takes nothing of it, on purpose."""

    @property
    def is_bad(self) -> bool:
        """Whether somebody should look."""
        return self not in (Verdict.OK, Verdict.UNDECIDED)


class Look(NamedTuple):
    """A partition at one moment."""

    at: float
    """In seconds, of a clock that only goes forward."""
    next_offset: int
    end: int
    records: int
    """How many wait."""
    is_held: bool
    """Whether a member holds the partition."""
    is_stopped: bool = False
    """Whether the flood breaker has stopped it."""


class Window:
    """The last looks at one partition."""

    def __init__(self, looks: int = LOOKS) -> None:
        self._looks: deque[Look] = deque(maxlen=looks)

    def add(self, look: Look) -> None:
        """Take a look in; the oldest one goes where the window is full."""
        self._looks.append(look)

    @property
    def verdict(self) -> Verdict:
        """What is to be thought of the partition now."""
        looks = self._looks
        last = looks[-1]
        if last.is_stopped:
            return Verdict.FLOOD
        if any(b.next_offset < a.next_offset for a, b in pairwise(looks)):
            return Verdict.REWIND
        if last.records == 0:
            return Verdict.OK
        if not any(look.is_held for look in looks) and len(looks) > 1:
            return Verdict.STOP
        if len(looks) < (looks.maxlen or LOOKS):
            return Verdict.UNDECIDED
        if any(look.records == 0 for look in looks):
            return Verdict.OK
        if looks[0].next_offset == last.next_offset:
            return Verdict.STALL
        if all(b.records >= a.records for a, b in pairwise(looks)) and (
            last.records > looks[0].records
        ):
            return Verdict.WARNING
        return Verdict.OK

    @property
    def rate(self) -> float | None:
        """Offsets that the group gets on by in a second; None where one look is all there is."""
        return self._per_second(lambda look: look.next_offset)

    @property
    def drain_seconds(self) -> float | None:
        """When nothing would wait any more, at the present rates of the group and its producers.

        0 where nothing waits; None where that is unknown, or the lag does not shrink.
        """
        waiting = self._looks[-1].records
        if not waiting:
            return 0.0
        shrinks = self._per_second(lambda look: -look.records)
        return None if shrinks is None or shrinks <= 0.0 else waiting / shrinks

    def _per_second(self, figure: Callable[[Look], int]) -> float | None:
        first, last = self._looks[0], self._looks[-1]
        seconds = last.at - first.at
        return None if seconds <= 0.0 else (figure(last) - figure(first)) / seconds
