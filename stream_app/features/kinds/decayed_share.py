"""The share of some events among others, decayed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from stream_app.features.kinds.agreement import agree
from stream_app.features.kinds.checks import check_numbers, check_seconds
from stream_app.features.kinds.compiled import AGE, Formula, Statements
from stream_app.features.kinds.contract import Apply, Read, Update, Values
from stream_app.features.kinds.decay import decayed_sum_lines

__all__ = ["DecayedShare"]


@dataclass(frozen=True)
class DecayedShare:
    """The decayed share of a part in a whole, whose updates may come of different events.

    Update: ``(time, part, whole)``: what it adds to the part and to the whole. Of one event type
    that tells both, ``(e.event_time, not e.succeeded, 1)``; of two, ``(e.event_time, 0, 1)`` for a
    payment and ``(e.event_time, 1, 0)`` for a chargeback. Everything loses half its weight every
    `half_life_seconds`; a late update decays what it adds.
    Reads: `share`, `whole` and `age`. A share is above 1 where more parts came than wholes: a
    chargeback that is to decay along with its payment carries the payment's time.
    Error: that of floating point; the order of updates shows in the last bits.
    Memory: 24 bytes packed.
    Source: forward decay, see `DecayedSums`; the decay of part and whole cancels out of the share.

    >>> state = DecayedShare(half_life_seconds=60.0)
    >>> held = state.empty()
    >>> state.apply(held, (0.0, 0, 1), 0, 0)  # a payment
    >>> state.apply(held, (60.0, 0, 1), 0, 1)
    >>> state.apply(held, (0.0, 1, 0), 1, 0)  # the chargeback of the first one
    >>> round(state.share()(held, 60.0), 3), state.whole()(held, 60.0)
    (0.333, 1.5)
    """

    half_life_seconds: float

    sums_up: ClassVar[bool] = True
    width: ClassVar[int] = 3
    format: ClassVar[str] = "3d"

    def __post_init__(self) -> None:
        """Raise `ValueError` for a half-life that is none."""
        check_seconds(self, half_life_seconds=self.half_life_seconds)

    def describe(self) -> dict[str, Any]:
        """Kind and parameters."""
        return {"kind": "decayed-share", "half_life_seconds": float(self.half_life_seconds)}

    def empty(self) -> Values:
        """No updates yet: {t, part, whole}."""
        return [-math.inf, 0.0, 0.0]

    def check(self, updates: Iterable[Update | None]) -> None:
        """Raise `ValueError` unless each update has a time, a part and a whole, all finite."""
        check_numbers(updates, 3)

    def agrees(self, left: Sequence[Any], right: Sequence[Any]) -> bool:
        """Whether two states hold the same updates: the times are equal, sums nearly."""
        return agree(left, right, rounded=(1, 2))

    @cached_property
    def apply(self) -> Apply:
        """Takes ``(time, part, whole)`` in; time in seconds."""
        lines = decayed_sum_lines(self.half_life_seconds, ["part", "whole"])
        return Statements(
            ["time, part, whole = update", *lines],
            operation=("decayed-share", float(self.half_life_seconds)),
        )

    def share(self) -> Read:
        """Part by whole; missing where there is no whole."""
        return Formula(
            "v[1] / v[2] if v[2] > 0.0 else nan", absent="nan", operation=("ratio", (1, 2))
        )

    def whole(self) -> Read:
        """The decayed whole, what the share rests on; 0 where nothing is known."""
        decayed = f"v[2] * exp2(-(at - v[0]) / {float(self.half_life_seconds)!r})"
        return Formula(
            f"{decayed} if at > v[0] else v[2]",
            absent="0.0",
            operation=("decayed", (float(self.half_life_seconds), 2)),
        )

    def age(self) -> Read:
        """Seconds since the newest update; missing where nothing is known, never below 0."""
        return AGE
