"""How an assignment is changed: as a whole (eager), or by what comes and goes (incremental).

Which of the two follows from the strategy that the group assigns by, and librdkafka refuses the
calls of the one under the other. Python is not told which it is, so it is read off the properties.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from confluent_kafka import Consumer, TopicPartition

__all__ = ["Eager", "Incremental", "Rebalancing", "rebalancing"]


class Rebalancing(Protocol):
    """The calls that change what a consumer fetches; every one is made on the client thread."""

    def assign(self, consumer: Consumer, places: Sequence[TopicPartition]) -> None:
        """Fetch these partitions, each from its offset."""

    def unassign(self, consumer: Consumer, places: Sequence[TopicPartition]) -> None:
        """Fetch these partitions no more."""

    def move(self, consumer: Consumer, place: TopicPartition) -> None:
        """Fetch an assigned partition from another offset, after librdkafka gave up its position.

        A partition without a position cannot be sought in.
        """


class Incremental:
    """`cooperative-sticky`, and every strategy of KIP-848: what stays goes on undisturbed."""

    def assign(self, consumer: Consumer, places: Sequence[TopicPartition]) -> None:
        """Fetch these as well."""
        consumer.incremental_assign(list(places))

    def unassign(self, consumer: Consumer, places: Sequence[TopicPartition]) -> None:
        """Fetch only the others."""
        consumer.incremental_unassign(list(places))

    def move(self, consumer: Consumer, place: TopicPartition) -> None:
        """Give it up and take it again."""
        consumer.incremental_unassign([place])
        consumer.incremental_assign([place])


class Eager:
    """`range` of the classic protocol: each rebalance takes everything and gives it anew."""

    def __init__(self) -> None:
        self._starts: dict[tuple[str, int], TopicPartition] = {}
        """Where each assigned partition is read from, as long as nothing of it was consumed."""

    def assign(self, consumer: Consumer, places: Sequence[TopicPartition]) -> None:
        """Fetch these and no others."""
        self._starts = {(place.topic, place.partition): place for place in places}
        consumer.assign(list(places))

    def unassign(self, consumer: Consumer, places: Sequence[TopicPartition]) -> None:  # noqa: ARG002
        """Fetch nothing."""
        self._starts = {}
        consumer.unassign()

    def move(self, consumer: Consumer, place: TopicPartition) -> None:
        """Take all anew: the others go on behind the last record that was consumed of them.

        With the epoch of its leader, by which librdkafka sees that a log was truncated.
        """
        self._starts[place.topic, place.partition] = place
        others = [
            TopicPartition(*other)
            for other in self._starts
            if other != (place.topic, place.partition)
        ]
        for other in consumer.position(others) if others else []:
            if other.offset >= 0:
                self._starts[other.topic, other.partition] = other
        consumer.assign(list(self._starts.values()))


def rebalancing(properties: Mapping[str, Any]) -> Rebalancing:
    """The calls that a consumer with these librdkafka properties takes."""
    classic = properties.get("group.protocol", "classic") == "classic"
    eager = classic and properties.get("partition.assignment.strategy") != "cooperative-sticky"
    return Eager() if eager else Incremental()
