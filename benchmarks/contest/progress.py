"""How many records a contender has finished: a number in a file that both sides have in memory.

Groups commit at intervals of their own, and some contenders commit nothing at all: what the offsets say
would come late for one and never for another. Writing eight bytes costs nobody anything.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from struct import Struct
from typing import Final

__all__ = ["Progress"]

_NUMBER: Final = Struct("<q")


class Progress:
    """The count; one process adds, another reads."""

    def __init__(self, path: Path) -> None:
        """Open the count in this file, which is made with a count of 0 where there is none."""
        if not path.exists():
            path.write_bytes(_NUMBER.pack(0))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _NUMBER.size)

    def add(self, records: int) -> None:
        """So many more are finished: published, acknowledged and their states written."""
        _NUMBER.pack_into(self._memory, 0, self.count + records)

    @property
    def count(self) -> int:
        """How many are finished."""
        return int(_NUMBER.unpack_from(self._memory)[0])
