"""Ranges of offsets as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from stream_app.records.places import PartitionId

__all__ = ["OffsetRange", "Ranges", "runs"]

_KEPT: Final = 10_000
"""Ranges kept of one kind: what is scattered over a whole topic must not fill the memory."""


class OffsetRange(NamedTuple):
    """Offsets of one partition, both ends included."""

    topic: str
    partition: int
    first: int
    last: int

    @property
    def offsets(self) -> int:
        """How many offsets."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        """TOPIC[PARTITION] FIRST-LAST, or one offset alone."""
        offsets = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.topic}[{self.partition}] {offsets}"

    def as_json(self) -> dict[str, Any]:
        """The range as JSON has it."""
        return self._asdict()


class Ranges:
    """Ranges in rising order of offsets within a partition; those that touch become one."""

    def __init__(self) -> None:
        self.kept: list[OffsetRange] = []
        self.left_out = 0
        """Ranges that were not kept, because there are too many."""

    def add(self, partition_id: PartitionId, offsets: npt.NDArray[np.int64]) -> None:
        """Add offsets in rising order."""
        for first, last in runs(offsets):
            self.add_range(OffsetRange(*partition_id, first, last))

    def add_range(self, added: OffsetRange) -> None:
        """Add a range that lies above those of its partition that are here."""
        before = self.kept[-1] if self.kept else None
        if before and before[:2] == added[:2] and before.last + 1 == added.first:
            self.kept[-1] = before._replace(last=added.last)
        elif len(self.kept) < _KEPT:
            self.kept.append(added)
        else:
            self.left_out += 1


def runs(offsets: npt.NDArray[np.int64]) -> Sequence[tuple[int, int]]:
    """First and last of each run of consecutive numbers among rising ones."""
    if not len(offsets):
        return []
    breaks = np.flatnonzero(np.diff(offsets) != 1)
    firsts: Iterable[int] = offsets[np.concatenate(([0], breaks + 1))].tolist()
    lasts: Iterable[int] = offsets[np.concatenate((breaks, [len(offsets) - 1]))].tolist()
    return list(zip(firsts, lasts, strict=True))
