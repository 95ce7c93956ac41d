"""An assigned partition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream_app.features.engine.order import rank
from stream_app.features.stores import Source
from stream_app.records.places import PartitionId

__all__ = ["Partition"]


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Partition:
    """An assigned partition, under the one assignment that gave it to us.

    Assigned again, the same partition is another object, and equal to no other: work done under an
    old assignment can never be committed under a new one. What changes while it is assigned is kept
    by whoever changes it, for as long as anybody holds this object.
    """

    topic: str
    number: int
    rank: int
    """Place in the use case's order of partitions, see `stream_app.features.engine.order.rank`."""
    source: Source | None = None
    """Cluster, topic id and number; None where the brokers were not asked."""

    @classmethod
    def among(
        cls, topics: Sequence[str], partition: PartitionId, source: Source | None = None
    ) -> Partition:
        """A partition of one of these topics, which are in the use case's order."""
        topic, number = partition
        return cls(topic, number, rank(topics.index(topic), number), source)

    @property
    def topic_id(self) -> str:
        """Id of the topic, as Kafka's tools print it; empty where the brokers were not asked."""
        return self.source.topic_id if self.source is not None else ""

    def __repr__(self) -> str:
        """Name the partition as operators do."""
        return f"{self.topic}[{self.number}]"
