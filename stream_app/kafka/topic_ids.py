"""Who a partition is: the ids of its cluster and its topic, as the brokers tell them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from stream_app.errors import FatalError
from stream_app.features.engine.order import rank
from stream_app.features.stores import Source
from stream_app.kafka.errors import failure
from stream_app.kafka.queries import as_kafka_shows_it, cluster_id, reach
from stream_app.records.partition import Partition

__all__ = ["Sources", "check_topic_id"]

_REQUEST_SECONDS = 10.0
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
"""What brokers say that know of no topic ids."""


class Sources:
    """Identifies partitions when they are assigned.

    Names are not enough: a topic deleted and created again has the same name and other records,
    which fences and prediction ids of the old one must not cover. The broker's topic ids (KIP-516)
    tell them apart.
    """

    def __init__(self, admin: AdminClient, topics: Sequence[str]) -> None:
        """`topics`: those of the use case's events, in its order."""
        self._admin = admin
        self._topics = list(topics)

    def identify(self, places: Sequence[tuple[str, int]]) -> list[Partition]:
        """The partitions at these places (topic and number), each of them a new object.

        Raises what `kafka_errors.failure` says.
        """
        described = self._describe(sorted({topic for topic, _ in places}))
        clusters = {topic: self._cluster(topic) for topic in described}
        partitions = []
        for topic, number in places:
            topic_id = as_kafka_shows_it(described[topic].topic_id)
            if topic_id == _NO_ID:
                raise FatalError(
                    f"the brokers give the topic {topic} no id, so it could not be told from "
                    "another one of the same name: Kafka 3.1 is the oldest version that serves"
                )
            source = Source(clusters[topic], topic_id, number)
            ranked = rank(self._topics.index(topic), number)
            partitions.append(Partition(topic, number, ranked, source))
        return partitions

    def check(self, partitions: Sequence[Partition]) -> None:
        """Raise `FatalError` where a partition's topic is not the one it was when assigned.

        Without partitions, see whether the brokers answer. Raises what `kafka_errors.failure` says
        besides.
        """
        if not partitions:
            reach(self._admin, self._topics, _REQUEST_SECONDS)
            return
        described = self._describe(sorted({partition.topic for partition in partitions}))
        for partition in partitions:
            check_topic_id(partition, as_kafka_shows_it(described[partition.topic].topic_id))

    def partitions(self) -> dict[str, int]:
        """How many partitions each topic of events has now; raises what `kafka_errors.failure` says."""
        described = self._describe(self._topics)
        return {topic: len(description.partitions) for topic, description in described.items()}

    def _cluster(self, topic: str) -> str:
        try:
            return cluster_id(self._admin, topic, _REQUEST_SECONDS)
        except KafkaException as error:
            raise failure(error.args[0], "asking for the cluster's id") from error

    def _describe(self, topics: Sequence[str]) -> dict[str, Any]:
        try:
            futures = self._admin.describe_topics(
                TopicCollection(list(topics)), request_timeout=_REQUEST_SECONDS
            )
            return {topic: future.result() for topic, future in futures.items()}
        except KafkaException as error:
            raise failure(error.args[0], f"describing {', '.join(topics)}") from error


def check_topic_id(partition: Partition, found: str) -> None:
    """Raise `FatalError` if the topic of this name has another id than when it was assigned."""
    if partition.topic_id not in {found, ""}:
        raise FatalError(
            f"the topic {partition.topic} was deleted and made anew while it was in use (its id is "
            f"{found}, it was {partition.topic_id}). Start the worker again: it reads the new topic "
            "from its beginning"
        )
