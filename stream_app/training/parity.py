"""Whether a graph computes what the model computes that it was made from: row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_app.training.errors import PackageError
from stream_app.training.matrix import Matrix

__all__ = ["Parity", "compare"]


@dataclass(frozen=True)
class Parity:
    """How far graph and original are apart, over all rows compared."""

    rows: int
    largest: float
    worst_id: str
    """Id of the event in whose row they are farthest apart."""


def compare(
    expected: Mapping[str, npt.NDArray[Any]],
    results: Mapping[str, npt.NDArray[Any]],
    rows: Matrix,
    tolerance: float,
) -> Parity | None:
    """Compare by output; None where there is nothing to compare with.

    Numbers may differ by ``tolerance * max(1, abs(expected))``. Raises `PackageError` with the worst row.
    """
    found: Parity | None = None
    for name, wanted in expected.items():
        if name not in results:
            raise PackageError(
                f"expected= names the output {name}, the graph's are {', '.join(results)}."
            )
        got = results[name]
        if np.shape(wanted) != got.shape:
            raise PackageError(
                f"the original gives {name} in the shape {np.shape(wanted)}, the graph {got.shape}."
            )
        gaps = _gaps(np.asarray(wanted), got)
        worst = int(gaps.argmax())
        if found is None or gaps[worst] > found.largest:
            found = Parity(len(rows), float(gaps[worst]), str(rows.ids[worst]))
        if not gaps[worst] <= tolerance:
            raise PackageError(
                f"the graph does not compute what the model computes: {name} differs most, by "
                f"{gaps[worst]:.2g}, in the row of event {rows.ids[worst]} ({got[worst]} by the "
                f"graph, {np.asarray(wanted)[worst]} by the model; {int((gaps > tolerance).sum())} of "
                f"{len(rows)} rows differ by more than {tolerance:g}). A graph computes in single "
                "precision: train on float32 values, or allow more by tolerance=."
            )
    return found


def _gaps(wanted: npt.NDArray[Any], got: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Of each row the largest relative difference; infinite where texts or missing values differ."""
    rows = len(got)
    if got.dtype == object or wanted.dtype.kind in "OUS":
        same = wanted.astype(str).reshape(rows, -1) == got.astype(str).reshape(rows, -1)
        return np.where(same.all(axis=1), 0.0, np.inf)
    left = wanted.astype(np.float64).reshape(rows, -1)
    right = got.astype(np.float64).reshape(rows, -1)
    with np.errstate(invalid="ignore"):
        gaps = np.abs(left - right) / np.maximum(1.0, np.abs(left))
    gaps = np.where((left == right) | (np.isnan(left) & np.isnan(right)), 0.0, gaps)
    worst: npt.NDArray[np.float64] = np.nan_to_num(gaps, nan=np.inf, posinf=np.inf).max(axis=1)
    return worst
