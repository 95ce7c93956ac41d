"""Some names of many, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["named"]

_NAMED: Final = 3


def named(things: Sequence[object]) -> str:
    """The first three of them, and how many more there are."""
    shown = ", ".join(map(str, things[:_NAMED]))
    return f"{shown} and {len(things) - _NAMED} more" if len(things) > _NAMED else shown
