"""Names of what lies in Kafka: a partition, and a record in it."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["PartitionId", "Place"]


class PartitionId(NamedTuple):
    """A partition of a topic, by name."""

    topic: str
    number: int

    def __str__(self) -> str:
        """Name the partition as operators do."""
        return f"{self.topic}[{self.number}]"


class Place(NamedTuple):
    """Where a record lies."""

    topic: str
    partition: int
    offset: int

    @property
    def partition_id(self) -> PartitionId:
        """The partition it lies in."""
        return PartitionId(self.topic, self.partition)

    def __str__(self) -> str:
        """TOPIC[PARTITION] at OFFSET."""
        return f"{self.topic}[{self.partition}] at {self.offset}"
