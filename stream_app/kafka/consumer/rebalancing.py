"""How an assignment is changed: as a whole (eager), or by what comes and goes (incremental).

Which of the two follows from the strategy that the group assigns by, and librdkafka refuses the
calls of the one under the other. Python is not told which it is, so it is read off the properties.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from confluent_kafka import Consumer, TopicPartition

from stream_app.errors import FatalError

__all__ = ["Eager", "Incremental", "Rebalancing", "rebalancing"]

_FORGOTTEN_SECONDS: Final = 10.0
_PROBE_SECONDS: Final = 0.002


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

    def sought(self, place: TopicPartition) -> None:
        """An assigned partition is read from another offset: it was sought in."""


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

    def sought(self, place: TopicPartition) -> None:
        """Nobody asks for it."""


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
        _wait_until_forgotten(consumer, place)

    def sought(self, place: TopicPartition) -> None:
        """Nothing was consumed from there: until then librdkafka tells no position of it."""
        self._starts[place.topic, place.partition] = place


def _wait_until_forgotten(consumer: Consumer, place: TopicPartition) -> None:
    """Wait until librdkafka has given up the position from before a partition was moved.

    A thread of librdkafka does it some time after `assign` returns, and nobody consumes meanwhile.
    Until then `position` tells the old one, and whoever moved another partition would take it for
    that of records that were consumed again: what lies between would be skipped.
    """
    deadline = time.monotonic() + _FORGOTTEN_SECONDS
    while consumer.position([place])[0].offset >= 0:
        if time.monotonic() > deadline:
            raise FatalError(
                f"{place.topic}[{place.partition}] is to be read from offset {place.offset} on, and "
                f"librdkafka does not let go of its old position for {_FORGOTTEN_SECONDS:g} s: start "
                "the worker again"
            )
        time.sleep(_PROBE_SECONDS)


def rebalancing(properties: Mapping[str, Any]) -> Rebalancing:
    """The calls that a consumer with these librdkafka properties takes."""
    classic = properties.get("group.protocol", "classic") == "classic"
    eager = classic and properties.get("partition.assignment.strategy") != "cooperative-sticky"
    return Eager() if eager else Incremental()
