"""A store of which states are read, and to which nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stream_app.features.stores import Source, Store

__all__ = ["OnlyRead"]

_UNKNOWN_SOURCE: Final = 2**31 - 2**20
"""From here on no store has given a number to a partition."""


class OnlyRead:
    """For who tries records on the present state: not even a source's name is written."""

    def __init__(self, store: Store) -> None:
        self.read = store.read
        self.marks = store.marks
        self.reopen = store.reopen
        self._registered = 0

    def register(self, sources: Sequence[Source]) -> list[int]:
        """Numbers that no state has a fence of, so that none holds a record already."""
        first = self._registered
        self._registered += len(sources)
        return [_UNKNOWN_SOURCE + first + number for number in range(len(sources))]
