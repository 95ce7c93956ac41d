"""Names of what lies in Kafka: a partition, and a record in it."""

from __future__ import annotations

from typing import NamedTuple, Protocol

__all__ = ["PartitionId", "Place", "id_of"]


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


class _Partition(Protocol):
    @property
    def topic(self) -> str: ...
    @property
    def number(self) -> int: ...


def id_of(partition: _Partition) -> PartitionId:
    """The name of an assigned partition."""
    return PartitionId(partition.topic, partition.number)
