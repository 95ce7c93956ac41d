"""What it takes to stop a partition, and to let it go on: in the consumer, in the stages and in the notes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from stream_app.alignment.align import AlignStage
from stream_app.alignment.allowance import Allowance
from stream_app.crash_isolation.isolation import CrashIsolation
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.records.flood_note import FloodNote
from stream_app.records.item import Item
from stream_app.records.partition import Partition

__all__ = ["PartitionValve", "Valve"]


class Valve(Protocol):
    """Called on the compute thread."""

    def shut(self, partition: Partition, head: Item) -> None:
        """Fetch nothing more of it and drop what is held; `head`: the first record that is not taken."""

    def open(self, partition: Partition, offset: int) -> None:
        """Fetch it again from `offset` on; a chunk says `rewound` before the first of these records."""

    def opened(self, partition: Partition) -> None:
        """The records come again."""

    def limit(self, partition: Partition, allowance: Allowance | None) -> None:
        """Take no more records of it than `allowance` has left; None: as many as come."""

    def note(self, partition: Partition, note: FloodNote | None) -> None:
        """Commit this beside the partition's offsets."""


class PartitionValve:
    """The valve of a worker."""

    def __init__(
        self,
        tracker: OffsetTracker,
        align: AlignStage,
        isolation: CrashIsolation,
        *,
        stop: Callable[[Partition], None],
        go_on: Callable[[Partition, int], None],
    ) -> None:
        """`stop` and `go_on` are the consumer's."""
        self._tracker = tracker
        self._align = align
        self._isolation = isolation
        self._stop = stop
        self._go_on = go_on

    def shut(self, partition: Partition, head: Item) -> None:
        """See `Valve`."""
        self._stop(partition)
        self._align.stop(partition)
        self._isolation.set_aside(partition, head.offset)
        self._tracker.held_back(partition, head.offset, head.record.known_at)

    def open(self, partition: Partition, offset: int) -> None:
        """See `Valve`."""
        self._go_on(partition, offset)

    def opened(self, partition: Partition) -> None:
        """See `Valve`."""
        self._isolation.take_up(partition)

    def limit(self, partition: Partition, allowance: Allowance | None) -> None:
        """See `Valve`."""
        self._align.limit(partition, allowance)

    def note(self, partition: Partition, note: FloodNote | None) -> None:
        """See `Valve`."""
        self._tracker.note_flood(partition, note)
