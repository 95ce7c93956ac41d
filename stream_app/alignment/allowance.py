"""How many records of a partition may be released now, where its rate is limited."""

from __future__ import annotations

__all__ = ["Allowance"]


class Allowance:
    """Of one partition. Whoever limits it raises `left`; the stage align takes from it."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = 0.0
        """So many records may be released."""
