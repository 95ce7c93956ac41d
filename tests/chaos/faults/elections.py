"""Unclean elections: brokers forget what they had acknowledged.

A topic is kept on two brokers and may be led by one that lacks its end. That one goes first, the
other takes records alone and is killed, the first comes back and leads, and what it lacks is gone.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import ClassVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    NewTopic,
)

from stream_app.local import LocalKafka
from tests.chaos.faults.base import REQUEST_SECONDS, Context, Fault, insist
from tests.chaos.faults.redis import STATE_LOSS
from tests.chaos.faults.topics import admin, delete, partitions
from tests.chaos.open_transactions import open_transactions
from tests.integration.worker import Out, eventually

__all__ = ["EventsTruncated", "OutputsTruncated"]

_ALONE_SECONDS = 2.0
_NOTICE_SECONDS = 15.0
_BETWEEN_SECONDS = 60.0
"""Longer than the transaction of a worker that was killed stands."""
_SETTINGS = {"unclean.leader.election.enable": "true", "min.insync.replicas": "1"}


class _UncleanElection(Fault):
    """Of one topic."""

    target = "broker"
    brokers = 3
    most = 1
    recovers_seconds = 5.0
    weight = 3.0

    def topic(self, context: Context) -> str:
        """Which one."""
        raise NotImplementedError

    def prepare(self, context: Context) -> None:
        topic = self.topic(context)
        count = insist(lambda: partitions(context, topic))
        delete(context, topic)
        pair = [broker.node for broker in self._pair(context)]
        # Without the count it would be a default one, and that goes with no assignment.
        wanted = NewTopic(topic, count, replica_assignment=[pair] * count, config=_SETTINGS)
        client = admin(context)  # kept: the answer comes to nobody where the client is gone
        asked = client.create_topics([wanted], operation_timeout=REQUEST_SECONDS)
        asked[topic].result(2 * REQUEST_SECONDS)
        insist(lambda: context.testbed.cluster.ends(topic))

    def _pair(self, context: Context) -> tuple[LocalKafka, LocalKafka]:
        """The broker that will be killed with the end of the log, and the one that lacks it."""
        brokers = context.services.brokers
        at = self.choice % len(brokers)
        return brokers[at], brokers[(at + 1) % len(brokers)]

    def begin(self, context: Context) -> None:
        kept, lacking = self._pair(context)
        topic = self.topic(context)
        self.leave_behind(context, lacking)
        eventually("the topic is on one broker", lambda: _leads(context, topic, kept))
        time.sleep(_ALONE_SECONDS)
        with self.standing_still(context):
            before = insist(lambda: context.testbed.cluster.read(topic, uncommitted=True))
            kept.kill()
            lacking.start()
            eventually("the other one leads", lambda: _leads(context, topic, lacking))
            after = {_place(out) for out in self._left(context, topic)}
            self.note(context, [out for out in before if _place(out) not in after])
        kept.start()

    def heal(self, context: Context) -> None:
        for broker in self._pair(context):
            broker.start()

    def leave_behind(self, context: Context, lacking: LocalKafka) -> None:
        """Stop the broker that will lack what comes from now on."""
        lacking.terminate()

    def _left(self, context: Context, topic: str) -> list[Out]:
        return insist(lambda: context.testbed.cluster.read(topic, uncommitted=True))

    @contextmanager
    def standing_still(self, context: Context) -> Iterator[None]:
        """Nobody writes to the topic meanwhile."""
        raise NotImplementedError
        yield

    def note(self, context: Context, lost: list[Out]) -> None:
        """Take down what the brokers have forgotten."""
        raise NotImplementedError


class OutputsTruncated(_UncleanElection):
    """Predictions that were acknowledged are gone; nobody but an audit can notice."""

    kind = "outputs-truncated"

    def topic(self, context: Context) -> str:
        usecase = context.testbed.usecase
        return (usecase.predictions_topic, usecase.dead_letters_topic)[self.choice % 2]

    def leave_behind(self, context: Context, lacking: LocalKafka) -> None:
        """Between two transactions: else the records of one might survive, and its end be lost.

        Nobody could ever end it: the brokers hold it for ended. `docs/delivery.md` says what a person
        does then.
        """
        data, topics = lacking.directory / "data", [self.topic(context)]

        def left() -> bool:
            with self.standing_still(context):
                if open_transactions(data, topics):
                    return False
                lacking.terminate()
                # What was on its way when everybody stood still may have come.
                if not open_transactions(data, topics):
                    return True
            lacking.start()
            return False

        eventually("no transaction is open", left, _BETWEEN_SECONDS)

    @contextmanager
    def standing_still(self, context: Context) -> Iterator[None]:
        with ExitStack() as stack:
            for member in context.workers.everybody:
                stack.enter_context(member.lock)
                member.freeze()
                stack.callback(member.resume)
            yield

    def note(self, context: Context, lost: list[Out]) -> None:
        context.history.cut_outputs += lost


class EventsTruncated(_UncleanElection):
    """Records that were acknowledged, and perhaps answered and committed, are gone.

    Others take their offsets. A worker that had come past them has to end and say so; then a person
    gives the application another name, and everything is done again under that.
    """

    kind = "events-truncated"
    # What a state that is lost had been fed with can be read nowhere.
    not_with: ClassVar[frozenset[str]] = STATE_LOSS | {
        "topic-made-anew",
        "topic-made-anew-while-frozen",
        "outputs-truncated",
    }
    ends_workers = (r"[Tt]he brokers lost (records|what) they had acknowledged",)

    def topic(self, context: Context) -> str:
        return context.testbed.topics[self.choice % len(context.testbed.topics)]

    @contextmanager
    def standing_still(self, context: Context) -> Iterator[None]:
        with context.traffic.halted():
            yield

    def note(self, context: Context, lost: list[Out]) -> None:
        context.history.truncated += lost
        context.traffic.acknowledged[self.topic(context)] -= len(lost)

    def heal(self, context: Context) -> None:
        super().heal(context)
        workers = context.workers
        deadline = time.monotonic() + _NOTICE_SECONDS
        while not any(each.allowed(self.ends_workers) for each in workers.exits):
            if time.monotonic() > deadline:
                return  # nobody had come so far, or nobody says so: the verdict will tell
            time.sleep(0.2)
        context.begin_again()


def _leads(context: Context, topic: str, broker: LocalKafka) -> bool:
    """Whether it leads all partitions of the topic that are on one of the two brokers."""
    client = AdminClient({"bootstrap.servers": context.services.internal, "log_level": 0})
    try:
        known = client.list_topics(topic, timeout=REQUEST_SECONDS).topics[topic].partitions
    except (KafkaException, KeyError):
        return False
    found = [p for p in known.values() if broker.node in p.replicas]
    return bool(found) and all(p.leader == broker.node for p in found)


def _place(out: Out) -> tuple[int, int]:
    return out.partition, out.offset
