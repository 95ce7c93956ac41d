"""The records of one partition that are held for their turn."""

from __future__ import annotations

import math

from stream_app.alignment.allowance import Allowance
from stream_app.features.engine.order import PartitionOrder
from stream_app.records.partition import Partition
from stream_app.records.record import Record

__all__ = ["Held", "Lane"]

#: A held record behind as much of its order key as is known before it is decoded: when it became
#: known, the rank of its partition, its offset.
Held = tuple[float, int, int, Record]


class Lane:
    """The records of one partition that are not released yet."""

    __slots__ = (
        "allowance", "at_end", "bytes", "given_up", "held", "known_at", "order", "paused", "stopped",
        "waited_since",
    )  # fmt: skip

    def __init__(self, partition: Partition) -> None:
        self.held: list[Held] = []
        """Those whose turn has not come."""
        self.known_at = -math.inf
        """What the partition still delivers is merged at this moment or later."""
        self.order = PartitionOrder(partition.rank)
        """Of what is decoded."""
        self.bytes = 0
        self.at_end = False
        """Unknown after an assignment, so not at the end until the broker says so."""
        self.paused = False
        self.given_up = False
        self.waited_since: float | None = None
        self.stopped = False
        """Nothing of it is held: what comes is read again later."""
        self.allowance: Allowance | None = None
        """How many records may be released, where that is limited."""

    @property
    def is_open(self) -> bool:
        """Whether what it still delivers may come before what others hold."""
        # Neighbours do not wait for a partition that is stopped, or let through slowly.
        return not (self.at_end or self.given_up or self.stopped or self.allowance)
