"""Exponentially decayed count, sums and means."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from stream_app.features.kinds.agreement import agree
from stream_app.features.kinds.checks import check_fields, check_numbers, check_seconds, place_of
from stream_app.features.kinds.compiled import AGE, Formula, Statements
from stream_app.features.kinds.contract import Apply, Read, Update, Values
from stream_app.features.kinds.decay import decayed_count, decayed_sum_lines

__all__ = ["DecayedSums"]


@dataclass(frozen=True)
class DecayedSums:
    """Exponentially decayed count and sums: {t, n, sum, ...}.

    Update: ``(time, addend, ...)``, an addend a sum. It counts one and adds each addend; everything
    loses half its weight every `half_life_seconds`. A late update decays its addend, never the state.
    Reads: `count`, `mean` and `age`. A read before t uses age 0.
    Error: that of floating point; the order of updates shows in the last bits of the sums.
    Memory: 16 bytes packed, and 8 a sum.
    Source: forward decay after Cormode et al., "Forward Decay: A Practical Time Decay Model for
    Streaming Systems" (ICDE 2009).

    >>> state = DecayedSums(half_life_seconds=60.0, sums=("amount",))
    >>> held = state.empty()
    >>> state.apply(held, (0.0, 8.0), 0, 0)
    >>> state.apply(held, (60.0, 2.0), 0, 1)
    >>> state.count()(held, 60.0), state.mean("amount")(held, 60.0), state.age()(held, 90.0)
    (1.5, 4.0, 30.0)
    """

    half_life_seconds: float
    sums: tuple[str, ...] = ()

    sums_up: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Raise `ValueError` for parameters that make no state."""
        check_seconds(self, half_life_seconds=self.half_life_seconds)
        check_fields(self, self.sums)

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of an update's values, in their order."""
        return self.sums

    @property
    def width(self) -> int:
        """Numbers in the state."""
        return 2 + len(self.sums)

    @property
    def format(self) -> str:
        """`struct` codes of the numbers."""
        return f"{self.width}d"

    def describe(self) -> dict[str, Any]:
        """Kind and parameters."""
        return {
            "kind": "decayed-sums",
            "half_life_seconds": float(self.half_life_seconds),
            "sums": list(self.sums),
        }

    def empty(self) -> Values:
        """No updates yet: n is 0, t minus infinity."""
        return [-math.inf, 0.0, *(0.0 for _ in self.sums)]

    def check(self, updates: Iterable[Update | None]) -> None:
        """Raise `ValueError` unless each update has a time and an addend a sum, all finite."""
        check_numbers(updates, 1 + len(self.sums))

    def agrees(self, left: Sequence[Any], right: Sequence[Any]) -> bool:
        """Whether two states hold the same updates: the times are equal, sums nearly."""
        return agree(left, right, rounded=range(1, self.width))

    @cached_property
    def apply(self) -> Apply:
        """Takes ``(time, addend, ...)`` in; time in seconds."""
        addends = [f"addend{at}" for at in range(2, self.width)]
        return Statements(
            [
                f"time, {''.join(f'{addend}, ' for addend in addends)}= update",
                *decayed_sum_lines(self.half_life_seconds, ["1.0", *addends]),
            ],
            operation=("decayed-sums", float(self.half_life_seconds)),
        )

    def count(self) -> Read:
        """Decayed number of updates; 0 where nothing is known."""
        return Formula(
            decayed_count(self.half_life_seconds),
            absent="0.0",
            operation=("decayed", (float(self.half_life_seconds), 1)),
        )

    def mean(self, name: str) -> Read:
        """Decayed mean of a sum; missing where nothing is known. Decay cancels out."""
        index = 2 + place_of(self, self.sums, name)
        return Formula(
            f"v[{index}] / v[1] if v[1] > 0.0 else nan",
            absent="nan",
            operation=("ratio", (index, 1)),
        )

    def age(self) -> Read:
        """Seconds since the newest update; missing where nothing is known, never below 0."""
        return AGE
