"""Whether two states hold the same updates, which may have been taken in different orders."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, Final

__all__ = ["agree"]

_RELATIVE: Final = 1e-9
_ABSOLUTE: Final = 1e-12
"""For sums of which little is left because their addends cancelled out."""


def agree(left: Sequence[Any], right: Sequence[Any], rounded: Collection[int] = ()) -> bool:
    """Whether all values are equal; those at the positions `rounded` within 1e-9 of their size."""
    return len(left) == len(right) and all(
        _same(a, b, exactly=position not in rounded)
        for position, (a, b) in enumerate(zip(left, right, strict=True))
    )


def _same(left: Any, right: Any, *, exactly: bool) -> bool:
    if left == right:
        return True
    if not (isinstance(left, float) and isinstance(right, float)):
        return False
    if math.isnan(left) and math.isnan(right):
        return True
    return not exactly and math.isclose(left, right, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
