"""How the updates of a partition's records are told from those that the states hold already."""

from __future__ import annotations

from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from stream_app.features.stores.fences import prune_fences
from stream_app.records.partition import Partition

__all__ = ["FEW_FENCES", "Fencing", "FencingByPartition"]

FEW_FENCES: Final = 16
"""So many are kept without a look at which of them are still needed: it would cost more."""


class Fencing(NamedTuple):
    """What the states know one assigned partition by."""

    source_id: int = 0
    """The small integer its fences are kept under; 0 until it is registered."""
    ahead_until: int = 0
    """Records before this offset may be in the states that they read, or later ones: of a previous
    owner, who may write what it had in hand after the assignment."""


class FencingByPartition:
    """The fencing of each assigned partition.

    It is kept for as long as anybody holds the partition: a batch may be written after the
    assignment it was read under has ended.
    """

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[Partition, Fencing] = WeakKeyDictionary()
        self._log_starts: dict[int, int] = {}
        """By source id, the first offset its log held when its partition was assigned, if not 0."""

    def __getitem__(self, partition: Partition) -> Fencing:
        """The fencing of a partition, registered or not."""
        return self._known.get(partition, _UNREGISTERED)

    def register(self, partition: Partition, source_id: int, log_start: int = 0) -> None:
        """Keep the partition's fences under this id; its log begins at `log_start`."""
        self._known[partition] = self[partition]._replace(source_id=source_id)
        if log_start:
            self._log_starts[source_id] = log_start

    def set_ahead_until(self, partition: Partition, offset: int) -> None:
        """Records before `offset` may have been applied by a previous owner of the partition."""
        self._known[partition] = self[partition]._replace(ahead_until=offset)

    def forget_log_starts(self) -> None:
        """Prune nothing until partitions are registered again."""
        self._log_starts.clear()

    def prune(self, fences: dict[int, int]) -> None:
        """Drop fences that guard nothing any more, where there are many."""
        if self._log_starts and len(fences) > FEW_FENCES:
            kept = prune_fences(fences, self._log_starts)
            if kept is not fences:
                fences.clear()
                fences.update(kept)


_UNREGISTERED: Final = Fencing()
