"""Rows to try a model version on before it serves: its golden vectors and likely others."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from stream_app.features.model_version.baseline import Baseline, Categories, Distribution
from stream_app.features.model_version.golden import GoldenVector
from stream_app.features.views import Dtype, FeatureSet

__all__ = ["golden_row", "sample_rows"]

#: What a column holds that the model does not take.
_ABSENT: dict[Dtype, Any] = {
    "float32": math.nan, "float64": math.nan, "int64": 0, "bool": False, "string": "",
}  # fmt: skip


def golden_row(vector: GoldenVector, features: FeatureSet) -> list[Any]:
    """The golden vector as a row of the feature set's columns."""
    return [
        _ABSENT[features.dtypes[column]] if (cell := vector.columns.get(column)) is None else cell
        for column in features.columns
    ]


def sample_rows(baseline: Baseline, features: FeatureSet, count: int) -> list[list[Any]]:
    """`count` rows of the feature set's columns, each drawn from its baseline by itself.

    Always the same rows: a version is refused at every start or at none.
    """
    random = Random(0)
    return [
        [
            _draw(baseline.columns.get(column), features.dtypes[column], random)
            for column in features.columns
        ]
        for _ in range(count)
    ]


def _draw(known: Distribution | None, dtype: Dtype, random: Random) -> Any:
    if isinstance(known, Categories):
        return random.choice(sorted(known.shares)) if dtype == "string" else _ABSENT[dtype]
    if known is None or dtype == "string" or not known.edges or random.random() < known.missing:
        return _ABSENT[dtype]
    bin_ = random.randrange(len(known.edges))
    low, high = known.edges[max(0, bin_ - 1)], known.edges[bin_]
    value = random.uniform(low, high)
    if dtype == "bool":
        return value > (low + high) / 2
    return round(value) if dtype == "int64" else value
