"""Faults that change topics of events."""

import time
from contextlib import ExitStack, suppress
from typing import ClassVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports silently
    AdminClient,
    NewPartitions,
)

from stream_app.kafka.brokers import Brokers
from stream_app.local import create_topics
from tests.chaos.faults.base import REQUEST_SECONDS, Fault, Scene, insist
from tests.chaos.faults.redis import STATE_LOSS
from tests.chaos.history import Incarnation
from tests.integration.worker import eventually

__all__ = [
    "PartitionsAdded",
    "TopicMadeAnew",
    "TopicMadeAnewWhileFrozen",
    "admin",
    "delete",
    "partitions",
]

_MOST_PARTITIONS = 8


class _OnTopic(Fault):
    """Strikes one topic of events."""

    target = "partitions"

    def topic(self, scene: Scene) -> str:
        """Which one."""
        return scene.bed.topics[self.choice % len(scene.bed.topics)]


class PartitionsAdded(_OnTopic):
    """An event topic has more partitions from now on, and keys move between them."""

    kind = "partitions-added"
    recovers_seconds = 4.0

    def begin(self, scene: Scene) -> None:
        insist(lambda: self._add(scene))

    def _add(self, scene: Scene) -> None:
        topic = self.topic(scene)
        count = partitions(scene, topic) + 1
        if 1 < count <= _MOST_PARTITIONS:
            wanted = [NewPartitions(topic, count)]
            client = admin(scene)  # kept: the answer comes to nobody where the client is gone
            asked = client.create_partitions(wanted, request_timeout=REQUEST_SECONDS)
            asked[topic].result(REQUEST_SECONDS)


class TopicMadeAnew(_OnTopic):
    """An event topic is deleted and made anew, with as many partitions, fewer or more.

    Records that nobody had committed are gone with it. Those of the new one have their outcome,
    whatever offsets the group had committed of the old one.
    """

    kind = "topic-made-anew"
    recovers_seconds = 8.0
    most = 1
    # What a deleted topic had fed into a state that is lost can be read nowhere.
    not_with: ClassVar[frozenset[str]] = STATE_LOSS
    ends_workers = (
        r"topic \S+ was deleted and made anew while it was in use",
        r"the topic was deleted and made anew while it was in use: start the worker again",
        r"; create the topic, or correct its name",  # gone for longer than `refusal_seconds`
    )

    def begin(self, scene: Scene) -> None:
        topic = self.topic(scene)
        with scene.traffic.halted():
            cluster = scene.bed.cluster
            cluster_id, topic_ids = insist(lambda: cluster.topic_ids(topic))
            records = insist(lambda: cluster.read(topic))
            committed = insist(lambda: cluster.committed(scene.bed.usecase.name, topic))
            count = insist(lambda: partitions(scene, topic))
            scene.history.retired.append(
                Incarnation(
                    topic,
                    topic_ids[topic],
                    cluster_id,
                    records,
                    {number: offset for (_, number), offset in committed.items()},
                    scene.traffic.acknowledged.pop(topic, 0),
                    scene.traffic.doubtful.pop(topic, 0),
                )
            )
            self._replace(scene, topic, max(1, count + self.choice % 3 - 1))

    def _replace(self, scene: Scene, topic: str, count: int) -> None:
        old = scene.topic_id(topic)
        delete(scene, topic)
        deadline = time.monotonic() + 60.0
        while True:
            insist(lambda: create_topics(scene.grounds.internal, {topic: count}))
            if insist(lambda: _exists(scene, topic)) and scene.topic_id(topic) != old:
                return
            assert time.monotonic() < deadline, f"{topic} cannot be made anew"


class TopicMadeAnewWhileFrozen(TopicMadeAnew):
    """The same under workers that are stopped in their tracks and go on as if nothing had been."""

    kind = "topic-made-anew-while-frozen"
    shortest_seconds, longest_seconds = 0.0, 2.0
    _stack: ExitStack

    def begin(self, scene: Scene) -> None:
        self._stack = ExitStack()
        for member in scene.crew.everybody:
            self._stack.enter_context(member.lock)
        # Some are let go on while it happens: they take what the new topic has.
        for member in scene.crew.everybody[self.choice % 2 :]:
            member.freeze()
        super().begin(scene)

    def heal(self, scene: Scene) -> None:
        try:
            for member in scene.crew.everybody:
                member.resume()
        finally:
            self._stack.close()


def admin(scene: Scene) -> AdminClient:
    """A client of the brokers, behind no proxy."""
    return AdminClient({"bootstrap.servers": scene.grounds.internal, "log_level": 0})


def partitions(scene: Scene, topic: str) -> int:
    """How many a topic has."""
    found = Brokers(admin(scene), seconds=REQUEST_SECONDS).topics([topic])
    return found[topic].partitions


def delete(scene: Scene, topic: str) -> None:
    """Delete a topic and return when it is gone."""

    client = admin(scene)

    def ask() -> None:
        asked = client.delete_topics(
            [topic], operation_timeout=REQUEST_SECONDS, request_timeout=REQUEST_SECONDS
        )
        with suppress(KafkaException, TimeoutError):  # whether it is gone is seen below
            asked[topic].result(2 * REQUEST_SECONDS)

    def is_gone() -> bool:
        ask()
        return not _exists(scene, topic)

    eventually(f"{topic} is gone", is_gone)


def _exists(scene: Scene, topic: str) -> bool:
    try:
        # All topics: to ask for one by name would be told of it as if it were there.
        return topic in admin(scene).list_topics(timeout=REQUEST_SECONDS).topics
    except KafkaException:
        return True
