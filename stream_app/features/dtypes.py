"""What a column holds: its dtypes, and how each says that a value is missing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Literal

__all__ = ["MISSING", "Dtype"]

Dtype = Literal["float32", "float64", "int64", "bool", "string"]

#: What stands for a missing value, by dtype; integers and booleans have nothing that could. A function
#: may give None for it.
MISSING: Final[Mapping[Dtype, Any]] = {"float32": math.nan, "float64": math.nan, "string": ""}
