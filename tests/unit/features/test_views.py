"""A declaration that cannot work is refused where it is written."""

import math
from typing import Any

import numpy as np
import pytest

from stream_app.features.dtypes import Dtype, misfit
from stream_app.features.kinds import DecayedSums
from stream_app.features.views import Column, Derived, Entity, FeatureSet, RowFeature, View
from tests.unit.features.builders import Ordered

SUMS = DecayedSums(3600.0, ("amount",))
SHOP = Entity("shop", lambda event: event.shop)


def one_column(column: Column) -> FeatureSet:
    """A declaration of one column, by position."""
    return FeatureSet((View("spend", SHOP, SUMS, {Ordered: lambda event: None}, (column,)),))


@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_a_column_without_a_value_for_missing_must_not_be_missing(dtype: Dtype) -> None:
    """The mean of nothing is NaN; the sentence names column, view and what to declare."""
    with pytest.raises(ValueError, match="column mean of view spend reads NaN, and") as refused:
        one_column(Column("mean", SUMS.mean("amount"), "EUR", "", dtype))
    assert dtype in str(refused.value)
    assert str(refused.value).endswith("where nothing is known: declare it float32")


def test_a_column_that_reads_another_type_is_refused() -> None:
    """It is tried on an absent state."""
    with pytest.raises(ValueError, match="reads a str, which is no float32 where nothing is known"):
        one_column(Column("last", lambda state, at: "", "", ""))
    text = Column("last", lambda state, at: "" if state is None else "x", "", "", "string")
    assert one_column(text).dtypes == {"last": "string"}


def test_a_column_that_cannot_be_read_of_an_absent_state_is_refused() -> None:
    """The error that its function raised is told."""
    with pytest.raises(ValueError, match=r"cannot be read where nothing is known \(TypeError: "):
        one_column(Column("last", lambda state, at: state[0], "", ""))  # type: ignore[index]


@pytest.mark.parametrize("name", ["mean amount", "1h", "class", "__x"])
def test_a_name_that_no_attribute_has_is_refused_beside_derived_columns(name: str) -> None:
    """They name columns as attributes; without them any name will do."""
    row = RowFeature(name, lambda event: 1.0, "", "")
    assert FeatureSet(row_features=(row,)).columns == (name,)
    with pytest.raises(ValueError, match=f"column {name} cannot be named by a derived column"):
        FeatureSet(row_features=(row,), derived=(Derived("z", lambda e, f: 1.0, "", ""),))


FITS: dict[Dtype, tuple[Any, ...]] = {
    "float32": (1, 1.5, True, math.nan, None, np.float32(1.0), np.int64(1)),
    "float64": (1, 1.5, True, math.nan, None, np.float64(1.0)),
    "int64": (1, True, 2**63 - 1, np.int64(1)),
    "bool": (True, np.bool_(False)),
    "string": ("", "x", None),
}
MISFITS: dict[Dtype, tuple[Any, ...]] = {
    "float32": ("1", b"1", [1.0], np.array([1.0])),
    "float64": ("1",),
    "int64": (1.0, math.nan, None, "1", 2**63),
    "bool": (1, 0.0, math.nan, None, "yes"),
    "string": (1, 1.0, math.nan, b"x"),
}


@pytest.mark.parametrize("dtype", FITS)
def test_what_fits_a_dtype(dtype: Dtype) -> None:
    """What does not is told by its type, never by its value."""
    assert [misfit(dtype, value) for value in FITS[dtype]] == [""] * len(FITS[dtype])
    assert all(misfit(dtype, value).startswith("reads ") for value in MISFITS[dtype])
