"""Whether the values of a stored state are those expected."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from stream_app.features.kinds import State
from stream_app.features.kinds.agreement import agree

__all__ = ["same_values"]


def same_values(state: State, stored: Sequence[Any], expected: Sequence[Any]) -> bool:
    """Whether a state's own values are those expected, as exactly as its kind allows.

    Those of a use case's own kind may be numbers or text; its laws ask of sums what ours ask.
    """
    expected = _packed(state, expected)
    agrees = getattr(state, "agrees", None)
    if agrees is not None:
        return bool(agrees(stored, expected))
    return agree(stored, expected, rounded=range(len(expected)))


def _packed(state: State, values: Sequence[Any]) -> Sequence[Any]:
    """Values as a store gives them back: a kind of its own may keep fewer digits, or text padded."""
    try:
        layout = struct.Struct("<" + state.format)
        return layout.unpack(layout.pack(*values))
    except (struct.error, TypeError, ValueError, OverflowError):
        return values
