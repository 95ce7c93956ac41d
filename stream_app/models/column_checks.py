"""Whether the columns of golden events hold what their dtypes can hold, before a model is given them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stream_app.features.dtypes import misfit
from stream_app.features.engine.replay import Row
from stream_app.features.model_version.manifest import Manifest
from stream_app.features.views import Column, FeatureSet
from stream_app.models.checks import refusal
from stream_app.text.causes import place_of

__all__ = ["check_columns", "places_of_columns"]


def check_columns(manifest: Manifest, features: FeatureSet, asked: Sequence[Row]) -> None:
    """Each column of golden events is of its dtype. Raises `ModelRefusedError`."""
    for row in asked:
        for column, value in zip(features.columns, row.values, strict=True):
            if why := misfit(features.dtypes[column], value):
                raise refusal(
                    manifest,
                    f"column {column} of {places_of_columns(features)[column]} {why}, for a golden "
                    "event: mend its function, or declare another dtype.",
                )


def places_of_columns(features: FeatureSet) -> Mapping[str, str]:
    """Where the function of each column is written."""
    return {
        column.name: place_of(column.read if isinstance(column, Column) else column.compute)
        for column in features.catalogue()
    }
