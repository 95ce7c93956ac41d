"""How brokers are asked through an admin client, given what librdkafka makes of it: see `brokers`.

Everything here raises `KafkaException`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from confluent_kafka import (
    ConsumerGroupState,
    IsolationLevel,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from stream_app.kafka.errors import has_stale_epoch, incomplete_answer

__all__ = [
    "Member",
    "all_partitions",
    "as_kafka_shows_it",
    "cluster_id",
    "described_group",
    "holders",
    "idle_members",
    "log_offsets",
    "members",
    "newest_timestamps",
    "renew_controller",
    "waits_for_controller",
]


class Member(NamedTuple):
    """A member of a consumer group, as the brokers know it."""

    id: str
    client_id: str
    host: str
    instance_id: str | None
    """Of a static member."""

    def __str__(self) -> str:
        """What a person knows it by: its static name or its client's, and where it runs."""
        return f"{self.instance_id or self.client_id} {self.host.lstrip('/')}"


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


def newest_timestamps(
    admin: AdminClient, places: Iterable[tuple[str, int]], spec: OffsetSpec, seconds: float
) -> dict[tuple[str, int], int]:
    """The latest timestamp in each log, in milliseconds, by topic and partition; -1 where there is none."""
    asked: Any = {TopicPartition(*place): spec for place in places}
    if not asked:
        return {}
    answers = admin.list_offsets(asked, request_timeout=seconds)
    return {(tp.topic, tp.partition): answer.result().timestamp for tp, answer in answers.items()}


def _log_offsets(
    admin: AdminClient, asked: Any, seconds: float, isolation: IsolationLevel
) -> dict[tuple[str, int], int]:
    answers = admin.list_offsets(asked, isolation_level=isolation, request_timeout=seconds)
    return {(tp.topic, tp.partition): answer.result().offset for tp, answer in answers.items()}


def waits_for_controller(error: BaseException | None) -> bool:
    """Whether a request had to go to the controller, and librdkafka cannot reach the one it knows."""
    # The error has no code of its own.
    return isinstance(error, KafkaException) and "waiting for controller" in error.args[0].str()


def renew_controller(admin: AdminClient, topic: str) -> bool:
    """Ask the other brokers for the controller; return whether one of them answered within a second.

    `topic`: one that exists, so as not to be told of all. librdkafka goes on waiting for a controller
    that has died until it renews all its metadata, which takes minutes (2.16).
    """
    try:
        admin.list_topics(topic, timeout=1.0)
    except KafkaException:
        return False
    return True


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
    found = described_group(admin, group, seconds)
    if found.state != ConsumerGroupState.STABLE:
        return set()
    return {m.member_id for m in found.members if not m.assignment.topic_partitions}


def members(admin: AdminClient, group: str, seconds: float) -> set[str]:
    """The ids of a group's members."""
    return {m.member_id for m in described_group(admin, group, seconds).members}


def holders(admin: AdminClient, group: str, seconds: float) -> dict[tuple[str, int], Member]:
    """Which member of a group holds which partition, as the brokers know it."""
    return {
        (each.topic, each.partition): Member(m.member_id, m.client_id, m.host, m.group_instance_id)
        for m in described_group(admin, group, seconds).members
        for each in m.assignment.topic_partitions
    }


def all_partitions(admin: AdminClient, seconds: float) -> list[tuple[str, int]]:
    """The partitions of every topic but Kafka's own."""
    metadata: Any = admin.list_topics(timeout=seconds)
    return [
        (name, number)
        for name, topic in metadata.topics.items()
        if not name.startswith("__") and topic.error is None
        for number in topic.partitions
    ]


def described_group(admin: AdminClient, group: str, seconds: float, **options: Any) -> Any:
    """What the brokers say of a group and its members."""
    return admin.describe_consumer_groups([group], request_timeout=seconds, **options)[
        group
    ].result()


def as_kafka_shows_it(topic_id: object) -> str:
    """A topic id as Kafka's tools print it: base64 in the alphabet for URLs."""
    return str(topic_id).replace("+", "-").replace("/", "_")
