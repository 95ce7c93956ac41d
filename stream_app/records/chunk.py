"""What one poll of the consumer brought."""

from __future__ import annotations

from dataclasses import dataclass, field

from stream_app.records.partition import Partition
from stream_app.records.record import Record
from stream_app.records.start_position import StartPosition

__all__ = ["Chunk"]


@dataclass(slots=True)
class Chunk:
    """What one poll brought, in the order librdkafka gave it."""

    records: list[Record] = field(default_factory=list)
    assigned: list[StartPosition] = field(default_factory=list)
    revoked: list[Partition] = field(default_factory=list)
    ended: list[Partition] = field(default_factory=list)
    """Partitions at whose end nothing was left when the poll returned."""
    rewound: list[Partition] = field(default_factory=list)
    """Partitions that were stopped and are read again, from the record they were stopped at: all that
    came of them before this chunk comes once more."""
    seen_at: float = float("-inf")
    """All that the brokers had delivered at this time is in this chunk or in those before it;
    seconds since the epoch."""
