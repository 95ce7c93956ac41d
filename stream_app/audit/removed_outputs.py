"""Up to when retention has removed outputs, so that none of them can be called missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from confluent_kafka import Message

from stream_app.audit.reading import partition_id_of
from stream_app.records.places import PartitionId

__all__ = ["RemovedOutputs"]


class RemovedOutputs:
    """What retention took from the topics out: the first record left in a partition tells the time."""

    def __init__(self, starts: Mapping[PartitionId, int]) -> None:
        """`starts`: where the logs of the topics out begin."""
        self._until = -math.inf
        self._untold = {partition_id for partition_id, start in starts.items() if start > 0}

    def begins_later(self, partition_id: PartitionId, _first: int, _end: int) -> None:
        """Retention has taken more of this partition while it was read."""
        self._untold.add(partition_id)

    def look(self, messages: Sequence[Message]) -> None:
        """Find the first record left in each partition that retention cut."""
        if not self._untold:
            return
        for message in messages:
            partition_id = partition_id_of(message)
            if partition_id in self._untold:
                self._untold.discard(partition_id)
                kind, milliseconds = message.timestamp()
                self._until = max(self._until, milliseconds / 1_000.0 if kind else math.inf)

    @property
    def until(self) -> float:
        """Outputs written before this time may be missing; seconds since the epoch.

        To be asked when all is read: where nothing is left that could tell the time, all may be.
        """
        return math.inf if self._untold else self._until
