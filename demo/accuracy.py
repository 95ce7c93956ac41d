"""How well scores rank what happened."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["auc"]


def auc(
    scores: Sequence[float] | npt.NDArray[np.float64],
    labels: Sequence[float] | npt.NDArray[np.float64],
) -> float | None:
    """Return the area under the ROC curve, or None where only one of both labels occurs.

    `labels` are 1 where it happened and 0 where not. It is the probability that a random flight
    that was late has a higher score than a random one that was not, equal scores counting half
    (Hanley and McNeil, "The meaning and use of the area under a ROC curve", 1982).

    >>> auc([0.1, 0.4, 0.4, 0.9], [0, 0, 1, 1])
    0.875
    """
    positive = np.asarray(labels, dtype=np.float64) > 0.5
    positives = int(np.count_nonzero(positive))
    negatives = len(positive) - positives
    if not positives or not negatives:
        return None
    _, places, counts = np.unique(
        np.asarray(scores, dtype=np.float64), return_inverse=True, return_counts=True
    )
    # Equal scores share the mean of their ranks, which begin at 1.
    ranks = np.cumsum(counts) - (counts - 1) / 2.0
    smallest = positives * (positives + 1) / 2.0
    return float((ranks[places][positive].sum() - smallest) / (positives * negatives))
