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
from tests.chaos.faults.base import REQUEST_SECONDS, Context, Fault, insist
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

    def topic(self, context: Context) -> str:
        """Which one."""
        return context.testbed.topics[self.choice % len(context.testbed.topics)]


class PartitionsAdded(_OnTopic):
    """An event topic has more partitions from now on, and keys move between them."""

    kind = "partitions-added"
    recovers_seconds = 4.0

    def begin(self, context: Context) -> None:
        insist(lambda: self._add(context))

    def _add(self, context: Context) -> None:
        topic = self.topic(context)
        count = partitions(context, topic) + 1
        if 1 < count <= _MOST_PARTITIONS:
            wanted = [NewPartitions(topic, count)]
            client = admin(context)  # kept: the answer comes to nobody where the client is gone
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

    def begin(self, context: Context) -> None:
        topic = self.topic(context)
        with context.traffic.halted():
            cluster = context.testbed.cluster
            cluster_id, topic_ids = insist(lambda: cluster.topic_ids(topic))
            records = insist(lambda: cluster.read(topic))
            committed = insist(lambda: cluster.committed(context.testbed.usecase.name, topic))
            count = insist(lambda: partitions(context, topic))
            context.history.retired.append(
                Incarnation(
                    topic,
                    topic_ids[topic],
                    cluster_id,
                    records,
                    {number: offset for (_, number), offset in committed.items()},
                    context.traffic.acknowledged.pop(topic, 0),
                    context.traffic.doubtful.pop(topic, 0),
                )
            )
            self._replace(context, topic, max(1, count + self.choice % 3 - 1))

    def _replace(self, context: Context, topic: str, count: int) -> None:
        old = context.topic_id(topic)
        delete(context, topic)
        deadline = time.monotonic() + 60.0
        while True:
            insist(lambda: create_topics(context.services.internal, {topic: count}))
            if insist(lambda: _exists(context, topic)) and context.topic_id(topic) != old:
                return
            assert time.monotonic() < deadline, f"{topic} cannot be made anew"


class TopicMadeAnewWhileFrozen(TopicMadeAnew):
    """The same under workers that are stopped in their tracks and go on as if nothing had been."""

    kind = "topic-made-anew-while-frozen"
    shortest_seconds, longest_seconds = 0.0, 2.0
    _stack: ExitStack

    def begin(self, context: Context) -> None:
        self._stack = ExitStack()
        for member in context.workers.everybody:
            self._stack.enter_context(member.lock)
        # Some are let go on while it happens: they take what the new topic has.
        for member in context.workers.everybody[self.choice % 2 :]:
            member.freeze()
        super().begin(context)

    def heal(self, context: Context) -> None:
        try:
            for member in context.workers.everybody:
                member.resume()
        finally:
            self._stack.close()


def admin(context: Context) -> AdminClient:
    """A client of the brokers, behind no proxy."""
    return AdminClient({"bootstrap.servers": context.services.internal, "log_level": 0})


def partitions(context: Context, topic: str) -> int:
    """How many a topic has."""
    found = Brokers(admin(context), seconds=REQUEST_SECONDS).topics([topic])
    return found[topic].partitions


def delete(context: Context, topic: str) -> None:
    """Delete a topic and return when it is gone."""

    client = admin(context)

    def ask() -> None:
        asked = client.delete_topics(
            [topic], operation_timeout=REQUEST_SECONDS, request_timeout=REQUEST_SECONDS
        )
        with suppress(KafkaException, TimeoutError):  # whether it is gone is seen below
            asked[topic].result(2 * REQUEST_SECONDS)

    def is_gone() -> bool:
        ask()
        return not _exists(context, topic)

    eventually(f"{topic} is gone", is_gone)


def _exists(context: Context, topic: str) -> bool:
    try:
        # All topics: to ask for one by name would be told of it as if it were there.
        return topic in admin(context).list_topics(timeout=REQUEST_SECONDS).topics
    except KafkaException:
        return True
