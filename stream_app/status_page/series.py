"""Figures over the last minutes, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

__all__ = ["STEPS", "STEP_SECONDS", "Series", "quantiles"]

STEP_SECONDS: Final = 2.0
STEPS: Final = 300
"""Ten minutes."""


class Series:
    """One figure, or several beside each other, for each of the last `STEPS` steps.

    Steps are numbered; one for which nothing was set is unknown (NaN). Written and read on any
    thread: a reader may miss the newest step, never more.
    """

    def __init__(self, columns: int = 1) -> None:
        self._values: npt.NDArray[np.float32] = np.full((STEPS, columns), np.nan, np.float32)
        self._newest = -1

    def set(self, step: int, *values: float) -> None:
        """Set the figures of a step; those between it and the newest one so far become unknown."""
        if step > self._newest:
            gap = min(step - self._newest, STEPS)
            self._values[[each % STEPS for each in range(step - gap + 1, step + 1)]] = np.nan
            self._newest = step
        if step > self._newest - STEPS:
            self._values[step % STEPS] = values

    def last(self, steps: int, until: int) -> npt.NDArray[np.float32]:
        """The figures of so many steps that end with `until`, oldest first; shape (steps, columns)."""
        wanted = np.arange(until - steps + 1, until + 1)
        known = (wanted > self._newest - STEPS) & (wanted <= self._newest) & (wanted >= 0)
        found = self._values[wanted % STEPS]
        found[~known] = np.nan
        return found

    def total(self, steps: int, until: int) -> npt.NDArray[np.float64]:
        """The sum over so many steps, of each column; what is unknown counts as nothing."""
        known: npt.NDArray[np.float64] = np.nan_to_num(self.last(steps, until)).astype(np.float64)
        sums: npt.NDArray[np.float64] = known.sum(axis=0)
        return sums


def quantiles(
    counts: npt.NDArray[np.floating], bounds: Sequence[float], shares: Sequence[float]
) -> list[float | None]:
    """Quantiles of values that were counted by upper bound; None where there are no values.

    `counts` has one place more than `bounds`: what is above all of them, of which the highest bound is
    told. Within a bucket values are taken to be spread evenly.
    """
    total = float(np.nansum(counts))
    if not total > 0.0:
        return [None] * len(shares)
    running = np.cumsum(np.nan_to_num(counts), dtype=np.float64)
    found: list[float | None] = []
    for share in shares:
        wanted = share * total
        place = int(np.searchsorted(running, wanted, side="left"))
        if place >= len(bounds):
            found.append(bounds[-1])
            continue
        below = running[place - 1] if place else 0.0
        low = bounds[place - 1] if place else 0.0
        inside = (wanted - below) / (running[place] - below)
        found.append(low + float(inside) * (bounds[place] - low))
    return found
