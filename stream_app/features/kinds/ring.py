"""A ring of slots of time: rows of values, one value a slot, of which the newest slots are kept.

The state is {number of the newest slot, row after row}. A slot is cleared when the ring comes round
to it; what comes late for a slot that is no longer kept is not counted, whoever came first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from stream_app.features.kinds.contract import Values

__all__ = ["NO_SLOT", "Ring"]

NO_SLOT: Final = -(2**62)
"""The newest slot before the first update: it lies before every time."""


@dataclass(frozen=True)
class Ring:
    """A ring of `slots` slots of `slot_seconds` each."""

    slot_seconds: float
    slots: int

    def lines(self, blanks: Sequence[str], take: Sequence[str]) -> list[str]:
        """Statements that turn the ring to ``time``, clear what it passes, and `take` the update in.

        `blanks` has the value of an empty slot for each row, `take` the statements that change the
        rows, whose value for the update's slot is ``v[slot + ROW * slots]``; both are text.
        """
        rows = [row * self.slots for row in range(len(blanks))]
        return [
            f"slot = int(time // {float(self.slot_seconds)!r})",
            "ahead = slot - v[0]",
            "if ahead > 0:",
            f"    if ahead >= {self.slots}:",
            f"        v[1:] = {' + '.join(f'[{blank}] * {self.slots}' for blank in blanks)}",
            "    else:",
            "        for passed in range(v[0] + 1, slot + 1):",
            f"            passed = 1 + passed % {self.slots}",
            *(
                f"            v[passed + {row}] = {blank}"
                for row, blank in zip(rows, blanks, strict=True)
            ),
            "    v[0] = slot",
            f"if ahead > -{self.slots}:",
            f"    slot = 1 + slot % {self.slots}",
            *(f"    {line}" for line in take),
        ]

    def window(self, slots: int, back: int) -> Callable[[Values, float, int], Values]:
        """What gives a row's values of the last `slots` slots, `back` slots before a moment.

        Its arguments: a state, the moment in seconds, the row. Slots that are not kept are left out.
        """
        seconds, kept = float(self.slot_seconds), self.slots

        def values(state: Values, at: float, row: int) -> Values:
            newest = state[0]
            last = int(at // seconds) - back
            first = max(last - slots, newest - kept) + 1
            last = min(last, newest)
            if first > last:
                return []
            begin = 1 + row * kept
            low, high = begin + first % kept, begin + last % kept + 1
            if low < high:
                return state[low:high]
            return state[low : begin + kept] + state[begin:high]

        return values
