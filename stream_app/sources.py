"""Who a partition is: the ids of its cluster and its topic, as the brokers tell them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from features.stores import Source
from stream_app.broker_queries import as_kafka_shows_it, cluster_id
from stream_app.kafka_errors import failure
from stream_app.records import Partition

__all__ = ["Sources"]

_REQUEST_SECONDS = 10.0


class Sources:
    """Identifies partitions when they are assigned.

    Names are not enough: a topic deleted and created again has the same name and other records,
    which fences and prediction ids of the old one must not cover. The broker's topic ids (KIP-516)
    tell them apart.
    """

    def __init__(self, admin: AdminClient, topics: Sequence[str]) -> None:
        """`topics`: those of the use case's events."""
        self._admin = admin
        self._topics = list(topics)
        self._cluster_id: str | None = None

    def identify(self, partitions: Sequence[Partition]) -> None:
        """Set `source` of each partition; raises what `kafka_errors.failure` says."""
        described = self._describe(sorted({partition.topic for partition in partitions}))
        for partition in partitions:
            topic_id = as_kafka_shows_it(described[partition.topic].topic_id)
            partition.source = Source(self._cluster(partition.topic), topic_id, partition.number)

    def partitions(self) -> dict[str, int]:
        """How many partitions each topic of events has now; raises what `kafka_errors.failure` says."""
        described = self._describe(self._topics)
        return {topic: len(description.partitions) for topic, description in described.items()}

    def _cluster(self, topic: str) -> str:
        if self._cluster_id is None:
            try:
                self._cluster_id = cluster_id(self._admin, topic, _REQUEST_SECONDS)
            except KafkaException as error:
                raise failure(error.args[0], "asking for the cluster's id") from error
        return self._cluster_id

    def _describe(self, topics: Sequence[str]) -> dict[str, Any]:
        try:
            futures = self._admin.describe_topics(
                TopicCollection(list(topics)), request_timeout=_REQUEST_SECONDS
            )
            return {topic: future.result() for topic, future in futures.items()}
        except KafkaException as error:
            raise failure(error.args[0], f"describing {', '.join(topics)}") from error
