"""How brokers are asked through an admin client, given what librdkafka makes of it: see `brokers`.

Everything here raises `KafkaException`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from confluent_kafka import (
    ConsumerGroupState,
    IsolationLevel,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from stream_app.kafka.errors import has_stale_epoch, incomplete_answer

__all__ = ["as_kafka_shows_it", "cluster_id", "idle_members", "log_offsets", "members"]


def log_offsets(
    admin: AdminClient,
    places: Iterable[tuple[str, int]],
    spec: OffsetSpec,
    seconds: float,
    isolation: IsolationLevel = IsolationLevel.READ_UNCOMMITTED,
) -> dict[tuple[str, int], int]:
    """The offsets that the logs have for `spec`, by topic and partition; -1 where there is none."""
    asked: Any = {TopicPartition(*place): spec for place in places}
    if not asked:
        return {}
    try:
        return _log_offsets(admin, asked, seconds, isolation)
    except KafkaException as error:
        if not has_stale_epoch(error.args[0]):
            raise
    # librdkafka sends the leader epoch it has cached, and does not ask for a newer one when the
    # broker refuses it (2.16). Without the request below every answer would be a refusal for
    # minutes, until librdkafka renews all its metadata.
    for topic in {place.topic for place in asked}:
        admin.list_topics(topic, timeout=seconds)
    return _log_offsets(admin, asked, seconds, isolation)


def _log_offsets(
    admin: AdminClient, asked: Any, seconds: float, isolation: IsolationLevel
) -> dict[tuple[str, int], int]:
    answers = admin.list_offsets(asked, isolation_level=isolation, request_timeout=seconds)
    return {(tp.topic, tp.partition): answer.result().offset for tp, answer in answers.items()}


def cluster_id(admin: AdminClient, topic: str, seconds: float) -> str:
    """The cluster's id. `topic`: one that exists, so as not to be told of all others.

    Not by `describe_cluster`: a broker that has just come back may know of no broker yet, not even
    of itself, and of such an answer librdkafka ends the process (2.16, an assertion).
    """
    metadata: Any = admin.list_topics(topic, timeout=seconds)
    if metadata.cluster_id is None:
        raise incomplete_answer()
    return str(metadata.cluster_id)


def idle_members(admin: AdminClient, group: str, seconds: float) -> set[str]:
    """The ids of members that hold no partition, of a group that is at rest."""
    found = _group(admin, group, seconds)
    if found.state != ConsumerGroupState.STABLE:
        return set()
    return {m.member_id for m in found.members if not m.assignment.topic_partitions}


def members(admin: AdminClient, group: str, seconds: float) -> set[str]:
    """The ids of a group's members."""
    return {m.member_id for m in _group(admin, group, seconds).members}


def _group(admin: AdminClient, group: str, seconds: float) -> Any:
    return admin.describe_consumer_groups([group], request_timeout=seconds)[group].result()


def as_kafka_shows_it(topic_id: object) -> str:
    """A topic id as Kafka's tools print it: base64 in the alphabet for URLs."""
    return str(topic_id).replace("+", "-").replace("/", "_")
