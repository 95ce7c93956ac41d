"""The order in which records of several partitions take effect: one comparator, everywhere.

Within a partition, offset order is never changed. Partitions are merged by the time their records
became known, taken as a running maximum so that one early timestamp cannot reorder its partition;
ties by event time, then the use case's topic order, partition and offset. The align stage and the
offline replay both sort by the keys made here, which is why they agree.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stream_app.compiled import compiled_module

__all__ = ["OrderInPython", "OrderKey", "PartitionOrder", "rank"]

#: (known at, event time, rank, offset): total, and rising within a partition.
OrderKey = tuple[float, float, int, int]

_PARTITIONS_A_TOPIC = 1 << 20


def rank(topic_position: int, partition: int) -> int:
    """The place of a partition among all partitions of a use case's topics."""
    return topic_position * _PARTITIONS_A_TOPIC + partition


class OrderInPython:
    """Gives the records of one partition, in offset order, their order keys.

    `stream_app.compiled.turns` has its counterpart, with the same attributes.
    """

    __slots__ = ("_event_time", "_known_at", "_next_offset", "rank")

    def __init__(self, rank: int) -> None:
        self.rank = rank
        self._known_at = -math.inf
        self._event_time = -math.inf
        self._next_offset = -1

    @property
    def bound(self) -> OrderKey:
        """No later key of the partition is lower than this one."""
        return self._known_at, self._event_time, self.rank, self._next_offset

    def key(self, known_at: float, event_time: float, offset: int) -> OrderKey:
        """Key of the partition's next record; times in seconds since the epoch.

        `event_time` is minus infinity for a record that is no event.
        """
        if known_at > self._known_at:
            self._known_at = known_at
            self._event_time = event_time
        elif event_time > self._event_time:
            self._event_time = event_time
        self._next_offset = offset + 1
        return self._known_at, self._event_time, self.rank, offset


if TYPE_CHECKING or (_compiled := compiled_module("turns")) is None:
    PartitionOrder = OrderInPython
else:
    PartitionOrder = _compiled.PartitionOrder
