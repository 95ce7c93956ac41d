"""Which records an audit accounts for: all, or a range of times, partitions or offsets."""

from __future__ import annotations

from dataclasses import dataclass

from stream_app.records.places import PartitionId

__all__ = ["Scope"]


@dataclass(frozen=True)
class Scope:
    """What was asked for; as it stands, everything."""

    since: float | None = None
    """Records from the first with this timestamp on, by partition; seconds since the epoch."""
    until: float | None = None
    """Records before the first with this timestamp, by partition; seconds since the epoch."""
    partitions: frozenset[PartitionId] = frozenset()
    """Empty: all partitions of the event topics."""
    first: int | None = None
    """First offset; with exactly one partition."""
    last: int | None = None
    """Last offset, included; with exactly one partition."""

    @property
    def is_everything(self) -> bool:
        """Whether nothing was left out."""
        return self == Scope()
