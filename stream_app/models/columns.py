"""Whether columns hold what they declare where nothing is known: the first thing serving reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from stream_app.errors import ConfigurationError
from stream_app.features.dtypes import MISSING, Dtype
from stream_app.features.views import Column, FeatureSet
from stream_app.text.causes import cause_of, place_of

__all__ = ["check_columns", "column_faults", "misfit", "places_of_columns"]


def check_columns(features: FeatureSet) -> None:
    """Raise `ConfigurationError` for the first of `column_faults`."""
    for fault in column_faults(features):
        raise ConfigurationError(fault)


def column_faults(features: FeatureSet) -> Iterator[str]:
    """What is wrong with columns of views that are read from no state, a sentence each."""
    for view in features.views:
        for column in view.columns:
            where = f"The column {column.name} of view {view.name}"
            try:
                value: Any = column.read(None, 0.0)
            except Exception as error:  # noqa: BLE001 - a use case's function may raise anything
                yield (
                    f"{where} raises {cause_of(error)} where nothing is known of the entity (its state "
                    "is None): let it return NaN there, or an empty text."
                )
                continue
            why = misfit(column.dtype, value)
            if why:
                yield f"{where}, where nothing is known, {why}"


def misfit(dtype: Dtype, value: Any) -> str:
    """Why a value is none of a dtype, and what to do, as the end of a sentence; empty if it is one."""
    if value is None and dtype in MISSING:
        return ""
    if dtype == "string":
        if isinstance(value, str):
            return ""
        return f"is a {type(value).__name__} and is declared string: return text, empty if missing."
    if isinstance(value, str) or not isinstance(value, int | float | np.number | np.bool_):
        kind = type(value).__name__
        mend = "return a number, NaN if missing."
        if isinstance(value, str):
            mend = (
                'declare it with dtype="string", which training encodes (stream_app.fit_one_hot), or '
                "return a number."
            )
        return f"is a {kind} and is declared {dtype}: {mend}"
    if dtype in ("int64", "bool"):
        if isinstance(value, float | np.floating) and math.isnan(value):
            return f"is NaN, which {dtype} cannot hold: declare it float32, or return a number."
        if isinstance(value, float | np.floating):
            return f"is a float, and is declared {dtype}: declare it float32, or return an int."
    return ""


def places_of_columns(features: FeatureSet) -> Mapping[str, str]:
    """Where the function of each column is written."""
    return {
        column.name: place_of(column.read if isinstance(column, Column) else column.compute)
        for column in features.catalogue()
    }
