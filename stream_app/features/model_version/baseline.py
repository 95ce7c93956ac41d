"""Baselines: how the features and outputs of a model version were distributed when it was trained.

Drift is judged against them. They are small (bins and shares, never rows) and live in the version's
folder as `baseline.json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Baseline", "Categories", "Distribution", "Quantiles", "measure_baseline"]

Share = Annotated[float, Field(ge=0.0, le=1.0)]

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Quantiles(BaseModel):
    """A number's distribution: shares of the bins between ascending edges.

    Bin i holds ``edges[i - 1] < x <= edges[i]``; the first and the last bin are open, so there is
    one share more than edges. That is ``numpy.searchsorted(edges, x, side="left")``.
    """

    model_config = _STRICT

    kind: Literal["quantiles"] = "quantiles"
    edges: tuple[float, ...]
    """Ascending and distinct, each exact in float32."""
    shares: tuple[Share, ...]
    """Of all rows, missing ones included: shares and `missing` sum to 1."""
    missing: Share
    """Share of rows without a value (NaN)."""


class Categories(BaseModel):
    """A string's distribution: shares of its most frequent values."""

    model_config = _STRICT

    kind: Literal["categories"] = "categories"
    shares: Mapping[str, Share]
    """Of all rows. What is not listed is in `other`."""
    other: Share
    """Share of rows with a value that is not listed."""


Distribution = Annotated[Quantiles | Categories, Field(discriminator="kind")]


class Baseline(BaseModel):
    """Distributions of a model version's columns and outputs over the rows it was measured on."""

    model_config = _STRICT

    rows: Annotated[int, Field(ge=1)]
    """How many rows were measured."""
    columns: Mapping[str, Distribution]
    """By column name."""
    outputs: Mapping[str, Distribution]
    """By output name; of an output with several numbers a row, each as ``name[i]``."""


def measure_baseline(
    columns: Mapping[str, npt.ArrayLike],
    outputs: Mapping[str, npt.ArrayLike],
    *,
    bins: int = 10,
    categories: int = 50,
) -> Baseline:
    """The baseline of `columns`, each of shape (rows,), and `outputs`, each (rows,) or (rows, n).

    Numbers are cut into at most `bins` bins at their quantiles (fewer where values repeat), strings
    into their `categories` most frequent values. Raises `ValueError` where lengths differ or
    nothing was given.
    """
    flat: dict[str, npt.NDArray[Any]] = {}
    for name, values in outputs.items():
        array = np.asarray(values)
        if array.ndim == 1:
            flat[name] = array
        else:
            wide = array.reshape(len(array), -1)
            flat.update({f"{name}[{i}]": wide[:, i] for i in range(wide.shape[1])})
    arrays = {name: np.asarray(values) for name, values in columns.items()}
    lengths = {len(array) for array in (*arrays.values(), *flat.values())}
    if len(lengths) != 1:
        raise ValueError(f"columns and outputs must have one length, these have {sorted(lengths)}")
    (rows,) = lengths

    def distribution(values: npt.NDArray[Any]) -> Quantiles | Categories:
        if values.dtype.kind in "OUS":
            return _categories(values, categories)
        return _quantiles(values, bins)

    return Baseline(
        rows=rows,
        columns={name: distribution(values) for name, values in arrays.items()},
        outputs={name: distribution(values) for name, values in flat.items()},
    )


def _quantiles(values: npt.NDArray[Any], bins: int) -> Quantiles:
    numbers = values.astype(np.float64)
    present = numbers[~np.isnan(numbers)]
    missing = float(1.0 - len(present) / len(numbers))
    if not len(present):
        return Quantiles(edges=(), shares=(0.0,), missing=missing)
    # Only inner quantiles, picked and not interpolated: an edge is a value that occurred.
    at = np.arange(1, bins) / bins
    edges = np.unique(np.quantile(present, at, method="inverted_cdf").astype(np.float32))
    # The upper end is no edge: nothing would lie above it.
    edges = edges[edges < np.float32(present.max())]
    where = np.searchsorted(edges, present.astype(np.float32), side="left")
    counts = np.bincount(where, minlength=len(edges) + 1)
    return Quantiles(
        edges=tuple(float(edge) for edge in edges),
        shares=tuple(float(count / len(numbers)) for count in counts),
        missing=missing,
    )


def _categories(values: npt.NDArray[Any], most: int) -> Categories:
    counts = Counter(str(value) for value in values)
    # Ties by value, so that the same data gives the same file.
    top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
    rest = len(values) - sum(count for _, count in top)
    return Categories(
        shares={value: count / len(values) for value, count in top}, other=rest / len(values)
    )
