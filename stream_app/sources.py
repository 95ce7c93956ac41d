"""Who a partition is: the cluster's and the topic's ids, and the number its fences are kept under."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from features.stores import Source
from stream_app.errors import ServiceAwayError
from stream_app.patience import Patience
from stream_app.records import Partition
from stream_app.state import StateStage

__all__ = ["Sources"]

_REQUEST_SECONDS = 10.0


class Sources:
    """Identifies partitions when they are assigned.

    Names are not enough: a topic deleted and created again has the same name and other records,
    which fences and prediction ids of the old one must not cover. The broker's topic ids (KIP-516)
    tell them apart.
    """

    def __init__(self, admin: AdminClient, state: StateStage, patience: Patience) -> None:
        self._admin = admin
        self._state = state
        self._patience = patience

    def identify(self, partitions: Sequence[Partition]) -> None:
        """Set `source` and `source_id` of each partition; waits while Kafka or Redis is away."""
        topics = sorted({partition.topic for partition in partitions})
        cluster_id, topic_ids = self._patience("kafka", lambda: self._describe(topics))
        for partition in partitions:
            partition.source = Source(cluster_id, topic_ids[partition.topic], partition.number)
        self._state.register(partitions)

    def _describe(self, topics: Sequence[str]) -> tuple[str, dict[str, str]]:
        try:
            cluster: Any = self._admin.describe_cluster(request_timeout=_REQUEST_SECONDS).result()
            described = self._admin.describe_topics(
                TopicCollection(list(topics)), request_timeout=_REQUEST_SECONDS
            )
            ids = {topic: _as_kafka_shows_it(f.result().topic_id) for topic, f in described.items()}
        except KafkaException as error:
            raise ServiceAwayError("kafka", error.args[0].str()) from error
        return str(cluster.cluster_id), ids


def _as_kafka_shows_it(topic_id: object) -> str:
    """A topic id as Kafka's tools print it: base64 in the alphabet for URLs."""
    return str(topic_id).replace("+", "-").replace("/", "_")
