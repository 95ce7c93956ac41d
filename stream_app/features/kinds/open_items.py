"""What was opened, has fallen due and is not closed yet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from stream_app.features.kinds.agreement import agree
from stream_app.features.kinds.checks import check_numbers, check_seconds, check_slots
from stream_app.features.kinds.compiled import Statements, named
from stream_app.features.kinds.contract import Apply, Read, Update, Values

__all__ = ["OpenItems"]


@dataclass(frozen=True)
class OpenItems:
    """A ring of signed counters, one a slot of due time: {newest slot, counter, ...}.

    Update: ``(due, +1)`` of the opening event, ``(due, -1)`` of the closing event at the same due
    time, so their order does not matter; a slot expires when a due time one ring later arrives.
    Reads: `overdue`.
    Error: due times are told apart by their slots of `slot_seconds` alone; counts are exact.
    Memory: 8 bytes packed, and 4 a slot; there are `horizon_seconds` / `slot_seconds` + 1 slots.

    >>> state = OpenItems(horizon_seconds=3600.0, slot_seconds=60.0)
    >>> held = state.empty()
    >>> for offset, update in enumerate([(0.0, 1), (120.0, 1), (0.0, -1)]):
    ...     state.apply(held, update, 0, offset)
    >>> state.overdue(600.0)(held, 300.0)
    1.0
    """

    horizon_seconds: float
    """How far back from the newest due time counters are kept."""
    slot_seconds: float = 60.0
    slots: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Size the ring; raises `ValueError` for parameters that make none."""
        check_seconds(self, horizon_seconds=self.horizon_seconds, slot_seconds=self.slot_seconds)
        object.__setattr__(self, "slots", math.ceil(self.horizon_seconds / self.slot_seconds) + 1)

    @property
    def width(self) -> int:
        """Numbers in the state."""
        return 1 + self.slots

    @property
    def format(self) -> str:
        """`struct` codes of the numbers."""
        return f"q{self.slots}i"

    def describe(self) -> dict[str, Any]:
        """Kind and parameters."""
        return {
            "kind": "open-items",
            "horizon_seconds": float(self.horizon_seconds),
            "slot_seconds": float(self.slot_seconds),
        }

    def empty(self) -> Values:
        """No updates yet: the newest slot lies before every time."""
        return [-(2**62), *([0] * self.slots)]

    def check(self, updates: Iterable[Update | None]) -> None:
        """Raise `ValueError` unless each update has a due time and a count, both finite; the time lies
        within 2**61 slots of zero."""
        updates = list(updates)
        check_numbers(updates, 2)
        check_slots(updates, self.slot_seconds)

    def agrees(self, left: Sequence[Any], right: Sequence[Any]) -> bool:
        """Whether two states hold the same updates: they are equal."""
        return agree(left, right)

    @cached_property
    def apply(self) -> Apply:
        """Takes ``(due, +1 or -1)`` in; due in seconds. What has expired is not counted."""
        slots = self.slots
        return Statements(
            [
                "due, change = update",
                f"slot = floor(due / {float(self.slot_seconds)!r})",
                "if slot > v[0]:",
                f"    if slot - v[0] >= {slots}:",
                f"        v[1:] = [0] * {slots}",
                "    else:",
                "        for stale in range(v[0] + 1, slot + 1):",
                f"            v[1 + stale % {slots}] = 0",
                "    v[0] = slot",
                f"if v[0] - slot < {slots}:",
                f"    v[1 + slot % {slots}] += change",
            ],
            operation=("open-items", float(self.slot_seconds)),
        )

    def overdue(self, within_seconds: float) -> Read:
        """Items due in the last `within_seconds` and still open; 0 where nothing is known."""
        slot_seconds, slots = self.slot_seconds, self.slots
        span = math.ceil(within_seconds / slot_seconds)

        def read(state: Values | None, at: float) -> float:
            if state is None:
                return 0.0
            last = min(math.floor(at / slot_seconds), state[0])
            first = max(math.floor(at / slot_seconds) - span, state[0] - slots) + 1
            if first > last:
                return 0.0
            low, high = 1 + first % slots, 1 + last % slots
            if low <= high:
                return float(sum(state[low : high + 1]))
            return float(sum(state[low:]) + sum(state[1 : high + 1]))

        return named(
            f"OpenItems.overdue({float(within_seconds)!r})",
            read,
            operation=("overdue", (span, float(slot_seconds), slots)),
        )
