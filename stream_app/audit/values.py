"""Whether the values of a stored state are those expected."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Any, Final

from stream_app.features.kinds import DecayedSums, LastValue, OpenItems, State

__all__ = ["same_values"]

_RELATIVE: Final = 1e-9
_ABSOLUTE: Final = 1e-12
"""For sums of which little is left because their addends cancelled out."""


def same_values(state: State, stored: Sequence[Any], expected: Sequence[Any]) -> bool:
    """Whether a state's own values are those expected, as exactly as its kind allows.

    Those of a use case's own kind may be numbers or text; its laws ask of sums what ours ask.
    """
    if isinstance(state, DecayedSums):
        exact = 1
    else:
        exact = len(expected) if isinstance(state, LastValue | OpenItems) else 0
    return len(stored) == len(expected) and all(
        _same(left, right, exactly=position < exact)
        for position, (left, right) in enumerate(zip(stored, _packed(state, expected), strict=True))
    )


def _packed(state: State, values: Sequence[Any]) -> Sequence[Any]:
    """Values as a store gives them back: a kind of its own may keep fewer digits, or text padded."""
    try:
        layout = struct.Struct("<" + state.format)
        return layout.unpack(layout.pack(*values))
    except (struct.error, TypeError, ValueError, OverflowError):
        return values


def _same(left: Any, right: Any, *, exactly: bool) -> bool:
    if left == right:
        return True
    if not (isinstance(left, float) and isinstance(right, float)):
        return False
    if math.isnan(left) and math.isnan(right):
        return True
    return not exactly and math.isclose(left, right, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
