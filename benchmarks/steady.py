"""Which part of a drain is measured: at its end as much is under way as at its beginning.

A worker computes the next batches while the last ones are being published. Measured from the first records
that were finished to the very end, what was under way at the first look would have cost nothing: of a drain
of a dozen batches that is a tenth, and more for whoever has larger batches or more of them in flight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["steady"]

_LEFT_OUT: Final = 0.1
_STEPS: Final = 5
"""Whoever finishes a drain in fewer steps has no steady part: between two of them lies a moment, and not what
they took."""


def steady(finished: Sequence[int | float], total: int) -> tuple[int, int]:
    """The places of the first and the last look of the window, by what was finished at each look.

    It lies between a tenth and nine tenths of `total`; where the looks there show fewer than five steps, it is
    all of them.
    """
    inside = [
        place
        for place, count in enumerate(finished)
        if _LEFT_OUT * total <= count <= (1.0 - _LEFT_OUT) * total
    ]
    if len({finished[place] for place in inside}) > _STEPS:
        return inside[0], inside[-1]
    return 0, len(finished) - 1
