"""When refusals are a flood: so many in a row, or more than a share of the last records.

Of one partition, and by disposition: `poison` and `bug` have limits of their own. This file knows
records only as taken or refused, in the order of their offsets.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

__all__ = ["Limit", "Limits", "RefusalCounts"]

_KINDS: Final = ("poison", "bug")


@dataclass(frozen=True)
class Limit:
    """What is a flood of refusals of one disposition."""

    in_a_row: int
    """So many, and none that passes between them."""
    share: float
    """More than this share of the window, in 0 to 1; 1: never by its share."""


@dataclass(frozen=True)
class Limits:
    """The limits of a partition."""

    poison: Limit
    bug: Limit
    window_records: int
    """How many of the last records the shares are of. Records that are not there yet count as passed."""


class RefusalCounts:
    """Counts the records of one partition."""

    __slots__ = ("_in_a_row", "_limits", "_records", "_refused", "_window")

    def __init__(self, limits: Limits) -> None:
        self._limits = {"poison": limits.poison, "bug": limits.bug}
        self._window = limits.window_records
        self._records = 0
        self._refused: dict[str, deque[int]] = {kind: deque() for kind in _KINDS}
        """The numbers of those of the window that were refused."""
        self._in_a_row = dict.fromkeys(_KINDS, 0)

    def passed(self, records: int = 1) -> None:
        """So many records, at least one, were not refused."""
        self._records += records
        self._in_a_row = dict.fromkeys(_KINDS, 0)

    def refused(self, disposition: str) -> str | None:
        """A record was refused; say why that is a flood, as half a sentence, or None if it is none."""
        kind = disposition if disposition in self._limits else "poison"
        limit = self._limits[kind]
        self._records += 1
        self._in_a_row[kind] += 1
        refused = self._refused[kind]
        refused.append(self._records)
        while refused[0] <= self._records - self._window:
            refused.popleft()
        if self._in_a_row[kind] >= limit.in_a_row:
            return f"{self._in_a_row[kind]} records in a row were refused ({kind})"
        if len(refused) > limit.share * self._window:
            return (
                f"{len(refused)} of the last {min(self._records, self._window)} records were "
                f"refused ({kind})"
            )
        return None
