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
) -> npt.NDArray[np.float64]:
    """Quantiles of values that were counted by upper bound, row by row; NaN where a row has none.

    `counts` has the shape (rows, len(bounds) + 1): last is what is above all bounds, of which the highest
    bound is told. Within a bucket values are taken to be spread evenly. Returned is (rows, len(shares)).
    """
    running = np.cumsum(np.nan_to_num(counts), axis=1, dtype=np.float64)
    rows = np.arange(len(running))
    below = np.concatenate([np.zeros((len(running), 1)), running], axis=1)
    edges = np.array([0.0, *bounds, bounds[-1]])
    found = np.full((len(running), len(shares)), np.nan)
    some = running[:, -1] > 0.0
    for column, share in enumerate(shares):
        wanted = share * running[:, -1]
        place = np.minimum((running < wanted[:, None]).sum(axis=1), len(bounds))
        inside = running[rows, place] - below[rows, place]
        part = np.divide(
            wanted - below[rows, place], inside, out=np.ones_like(wanted), where=inside > 0.0
        )
        value = edges[place] + part * (edges[place + 1] - edges[place])
        found[some, column] = value[some]
    return found
