"""What a column holds: its dtypes, how each says that a value is missing, and what fits it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

import numpy as np

__all__ = ["MISSING", "Dtype", "misfit"]

Dtype = Literal["float32", "float64", "int64", "string", "bool"]

#: What stands for a missing value, by dtype; integers and booleans have nothing that could. A function
#: may give None for it.
MISSING: Final[Mapping[Dtype, Any]] = {"float32": math.nan, "float64": math.nan, "string": ""}

_NUMBERS: Final = (int, float, np.integer, np.floating, np.bool_)


def misfit(dtype: Dtype, value: Any) -> str:
    """Why a column of a dtype cannot hold a value, to follow its name; empty if it can.

    It quotes nothing of the value but NaN.
    """
    if value is None and dtype in MISSING:
        return ""
    if isinstance(value, float | np.floating) and math.isnan(value) and dtype in ("int64", "bool"):
        return f"reads NaN, and {dtype} has nothing that stands for a missing value"
    fits = {
        "float32": isinstance(value, _NUMBERS),
        "float64": isinstance(value, _NUMBERS),
        "int64": isinstance(value, int | np.integer) and -(2**63) <= int(value) < 2**63,
        "string": isinstance(value, str),
        "bool": isinstance(value, bool | np.bool_),
    }
    if fits[dtype]:
        return ""
    kind = "None" if value is None else f"a {type(value).__qualname__}"
    return f"reads {kind}, which is no {dtype}"
