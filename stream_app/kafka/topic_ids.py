"""Who a partition is: the ids of its cluster and its topic, as the brokers tell them."""

from __future__ import annotations

from collections.abc import Sequence

from stream_app.errors import FatalError
from stream_app.features.stores import Source
from stream_app.kafka.brokers import Brokers
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId

__all__ = ["TopicIds", "check_topic_id"]

_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
"""What brokers say that know of no topic ids."""


class TopicIds:
    """Identifies partitions when they are assigned.

    Names are not enough: a topic deleted and created again has the same name and other records,
    which fences and prediction ids of the old one must not cover. The broker's topic ids (KIP-516)
    tell them apart.
    """

    def __init__(self, brokers: Brokers, topics: Sequence[str]) -> None:
        """`topics`: those of the use case's events, in its order."""
        self._brokers = brokers
        self._topics = list(topics)
        self._known: dict[str, str] = {}
        """By topic, the id it had when partitions of it were assigned last."""

    def identify(self, assigned: Sequence[PartitionId]) -> list[Partition]:
        """The partitions that were assigned, each of them a new object.

        Raises what `errors.failure` says, and `FatalError` where a topic is not the one of an
        earlier assignment: librdkafka keeps the leader epochs of that one, and where those of the new
        one are lower it fetches nothing, for ever and without an error (2.16).
        """
        described = self._brokers.topics(sorted({topic for topic, _ in assigned}))
        clusters = {topic: self._brokers.cluster_id(topic) for topic in described}
        partitions = []
        for partition in assigned:
            topic, number = partition
            topic_id = described[topic].topic_id
            if topic_id == _NO_ID:
                raise FatalError(
                    f"the brokers give the topic {topic} no id, so it could not be told from "
                    "another one of the same name: Kafka 3.1 is the oldest version that serves"
                )
            if self._known.setdefault(topic, topic_id) != topic_id:
                raise _made_anew(topic, self._known[topic], topic_id)
            source = Source(clusters[topic], topic_id, number)
            partitions.append(Partition.among(self._topics, partition, source))
        return partitions

    def check(self, partitions: Sequence[Partition]) -> None:
        """Raise `FatalError` where a partition's topic is not the one it was when assigned.

        Without partitions, see whether the brokers answer. Raises what `errors.failure` says
        besides.
        """
        if not partitions:
            self._brokers.reach(self._topics)
            return
        described = self._brokers.topics(sorted({partition.topic for partition in partitions}))
        for partition in partitions:
            check_topic_id(partition, described[partition.topic].topic_id)

    def partitions(self) -> dict[str, int]:
        """How many partitions each topic of events has now; raises what `errors.failure` says."""
        described = self._brokers.topics(self._topics)
        return {name: topic.partitions for name, topic in described.items()}


def check_topic_id(partition: Partition, found: str) -> None:
    """Raise `FatalError` if the topic of this name has another id than when it was assigned."""
    if partition.topic_id not in {found, ""}:
        raise _made_anew(partition.topic, partition.topic_id, found)


def _made_anew(topic: str, was: str, found: str) -> FatalError:
    return FatalError(
        f"the topic {topic} was deleted and made anew while it was in use (its id is {found}, it was "
        f"{was}). Start the worker again: it reads the new topic from its beginning"
    )
