"""Where an assigned partition is read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stream_app.records.flood_note import FloodNote
from stream_app.records.partition import Partition

__all__ = ["StartPosition"]


@dataclass(frozen=True, slots=True)
class StartPosition:
    """Where a partition is read from, and what was known of that when it was assigned."""

    partition: Partition
    offset: int
    """The first offset that is read."""
    committed_by: Literal["worker", "other", "nobody"]
    """Who committed an offset for the group; `other`: a person or a tool, by Kafka's means."""
    log_start: int = 0
    """First offset the log held."""
    control_records: int = 0
    """So many offsets right before `offset` hold no records, but control records of transactions."""
    leader_epoch: int | None = None
    """Committed beside the offset: which leader the record before it was written under."""
    failed_starts: int = 0
    """How often the partition was begun at this offset without getting past it, see `StartCount`."""
    flood: FloodNote | None = None
    """That the flood breaker of the worker before stopped it, or let it through slowly."""

    @property
    def records_end(self) -> int:
        """The offset behind the last record before `offset`."""
        return self.offset - self.control_records
