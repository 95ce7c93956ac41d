"""The client of the brokers, for what is asked of them besides consuming and producing.

Every method but `reach` raises what `errors.failure` makes of a refusal: `ServiceAwayError` for what
passes, `RefusedError` for what is believed after a while, `FatalError` for what is permanent.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AclOperation,
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from stream_app.errors import RefusedError, ServiceAwayError
from stream_app.kafka.connection_causes import ConnectionCauses
from stream_app.kafka.errors import failure, is_forbidden_topic, is_of_client, is_unanswered
from stream_app.kafka.group_offsets import Committed, GroupOffsets
from stream_app.kafka.log_reader import (
    LogReader,
    OnError,
    raise_unless_passing,
    reading_properties,
)
from stream_app.kafka.queries import (
    Member,
    all_partitions,
    as_kafka_shows_it,
    cluster_id,
    described_group,
    holders,
    idle_members,
    log_offsets,
    members,
    newest_timestamps,
    renew_controller,
    waits_for_controller,
)
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId, id_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream_app.config.settings import Settings

__all__ = ["Brokers", "Topic", "admin_client", "open_brokers"]

_Answer = TypeVar("_Answer")

_REQUEST_SECONDS: Final = 10.0
_COMMAND_SECONDS: Final = 30.0
"""A command does not try again, so it is patient with each request."""
_SMALL_ANSWERS: Final = {
    # A command that reads logs reads a lot and must hold little. What an answer unpacks to, ten times
    # its size or more, is not counted in any of these.
    "fetch.max.bytes": 2**20,
    "max.partition.fetch.bytes": 256 * 1024,
    "queued.max.messages.kbytes": 8 * 1024,
    # How long an answer waits for records at the end of a log.
    "fetch.wait.max.ms": 50,
}

_REACH_SECONDS: Final = 10.0
"""Who gave a command waits for it, and a broker that starts is there in less."""
_ATTEMPT_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 0.2

_librdkafka = logging.getLogger("librdkafka")


@dataclass(frozen=True)
class Topic:
    """A topic as it is now."""

    name: str
    topic_id: str
    """As Kafka's own tools print it."""
    partitions: int

    @property
    def partition_ids(self) -> list[PartitionId]:
        """Its partitions."""
        return [PartitionId(self.name, number) for number in range(self.partitions)]


class Brokers:
    """Asks the brokers about topics, logs and a group; nothing is written."""

    def __init__(
        self,
        admin: AdminClient,
        group: Mapping[str, Any] | None = None,
        *,
        seconds: float = _REQUEST_SECONDS,
        renewed: Callable[[], AdminClient] | None = None,
    ) -> None:
        """`group`: librdkafka's properties of a consumer of the group whose offsets are asked for.

        `seconds`: how long a request may take. `renewed` makes a client in place of one that is stuck.
        """
        self._admin = admin
        self._renewed = renewed
        self._group = group
        self._offsets = None if group is None else GroupOffsets(group)
        self._seconds = seconds

    def within(self, seconds: float) -> Brokers:
        """The same client, whose requests may take so long."""
        other = copy(self)
        other._seconds = seconds
        return other

    def close(self) -> None:
        """Let go of the connections."""
        if self._offsets is not None:
            self._offsets.close()

    def poll(self) -> None:
        """Let out what librdkafka has logged: it is kept until somebody does."""
        self._admin.poll(0)

    # Topics.

    def reach(self, topics: Sequence[str]) -> None:
        """Return as soon as a broker answers, whatever it says of these topics."""
        for topic, answer in self._described(topics).items():
            try:
                answer.result()
            except KafkaException as error:
                if is_of_client(error.args[0]):
                    raise failure(error.args[0], f"describing the topic {topic}") from error

    def topics(self, names: Iterable[str]) -> dict[str, Topic]:
        """Describe topics; one that is unknown is a `RefusedError`."""
        found = {}
        names = list(dict.fromkeys(names))
        with _asking(f"describing {', '.join(names)}"):
            for name, answer in self._described(names).items():
                described = answer.result()
                topic_id = as_kafka_shows_it(described.topic_id)
                found[name] = Topic(name, topic_id, len(described.partitions))
        return found

    def cluster_id(self, topic: str) -> str:
        """The cluster's id. `topic`: one that exists, so as not to be told of all others."""
        with _asking("asking for the cluster's id"):
            return cluster_id(self._admin, topic, self._seconds)

    def partitions(self, topic: str, doing: str) -> int:
        """How many partitions a topic has, from any broker. `doing`: what it is wanted for."""
        with _asking(doing):
            metadata: Any = self._admin.list_topics(topic, timeout=self._seconds)
        if (refusal := metadata.topics[topic].error) is not None:
            raise failure(refusal, doing)
        return len(metadata.topics[topic].partitions)

    def all_partitions(self) -> list[PartitionId]:
        """The partitions of every topic but Kafka's own."""
        with _asking("asking for all topics"):
            return [PartitionId(*each) for each in all_partitions(self._admin, self._seconds)]

    def in_sync(self, topic: str) -> dict[int, tuple[int, int]]:
        """How many replicas of each partition are in sync, and how many there are."""
        doing = f"asking for the replicas of topic {topic}"
        with _asking(doing):
            metadata: Any = self._admin.list_topics(topic, timeout=self._seconds)
        return {
            number: (len(partition.isrs), len(partition.replicas))
            for number, partition in metadata.topics[topic].partitions.items()
        }

    def not_writable(self, topics: Sequence[str]) -> list[str]:
        """Those of the topics that we may not write to; none where the brokers tell no rights."""
        return self._forbidden(topics, AclOperation.WRITE)

    def not_readable(self, topics: Sequence[str]) -> list[str]:
        """Those of the topics that we may not read; none where the brokers tell no rights."""
        return self._forbidden(topics, AclOperation.READ)

    def _forbidden(self, topics: Sequence[str], operation: AclOperation) -> list[str]:
        found = []
        for topic, answer in self._described(topics, include_authorized_operations=True).items():
            with _asking(f"asking for the rights on topic {topic}"):
                allowed = answer.result().authorized_operations
            if allowed and not {operation, AclOperation.ALL} & set(allowed):
                found.append(topic)
        return found

    def settings(self, topics: Iterable[str]) -> dict[str, dict[str, str] | None]:
        """The settings of topics that are told; None of a topic where DescribeConfigs is missing."""
        found: dict[str, dict[str, str] | None] = {}
        resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in dict.fromkeys(topics)]
        answers = self._admin.describe_configs(resources, request_timeout=self._seconds)
        for resource, answer in answers.items():
            try:
                entries: Mapping[str, Any] = answer.result()
            except KafkaException as error:
                if not is_forbidden_topic(error.args[0]):
                    doing = f"asking for the settings of topic {resource.name}"
                    raise failure(error.args[0], doing) from error
                found[resource.name] = None
            else:
                told = {name: entry.value for name, entry in entries.items()}
                found[resource.name] = {n: str(v) for n, v in told.items() if v is not None}
        return found

    # Logs.

    def starts(self, partitions: Iterable[PartitionId]) -> dict[PartitionId, int]:
        """The first offset that each log still holds."""
        spec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
        return self._log_offsets(partitions, spec, "asking where the logs begin")

    def ends(
        self, partitions: Iterable[PartitionId], *, decided: bool = False
    ) -> dict[PartitionId, int]:
        """The end offset of each log; `decided`: before the first open transaction."""
        spec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        return self._log_offsets(partitions, spec, "asking where the logs end", decided=decided)

    def first_at(
        self, partitions: Iterable[PartitionId], seconds: float
    ) -> dict[PartitionId, int | None]:
        """The offset of the first record with this timestamp or a later one, or None.

        `seconds` since the epoch. Records of transactions that are not decided are left out.
        """
        # Before 1970 a number is no time for brokers: -1 asks for the end of the log.
        spec = OffsetSpec.for_timestamp(max(0, math.ceil(seconds * 1_000)))
        doing = "asking for the offsets of a time"
        found = self._log_offsets(partitions, spec, doing, decided=True)
        return {each: None if offset < 0 else offset for each, offset in found.items()}

    def newest_at(self, partitions: Iterable[PartitionId]) -> dict[PartitionId, float]:
        """The latest timestamp of a record in each log, in seconds since the epoch; empty logs left out.

        Of records, not of when they came: a producer may stamp them with any time.
        """
        spec = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]
        with _asking("asking for the newest records"):
            found = newest_timestamps(self._admin, partitions, spec, self._seconds)
        return {PartitionId(*place): ms / 1_000.0 for place, ms in found.items() if ms >= 0}

    def _log_offsets(
        self,
        partitions: Iterable[PartitionId],
        spec: OffsetSpec,
        doing: str,
        *,
        decided: bool = False,
    ) -> dict[PartitionId, int]:
        isolation = IsolationLevel.READ_COMMITTED if decided else IsolationLevel.READ_UNCOMMITTED
        with _asking(doing):
            found = log_offsets(self._admin, partitions, spec, self._seconds, isolation)
        return {PartitionId(*place): offset for place, offset in found.items()}

    def log_reader(self, *, on_error: OnError = raise_unless_passing) -> LogReader:
        """What reads ranges of logs, with the properties of the group's consumers.

        What open transactions hide is not read.
        """
        assert self._group is not None, "a group was given"
        properties = reading_properties({**self._group, "isolation.level": "read_committed"})
        consumer = Consumer(properties, logger=_librdkafka)
        return LogReader(consumer, on_error=on_error)

    # Groups.

    def committed(
        self, partitions: Iterable[PartitionId], *, wait: bool = True
    ) -> dict[PartitionId, Committed]:
        """What the group has committed; partitions without a commit are left out.

        Offsets in transactions that are not decided are waited for. `wait`: while the group's
        coordinator is moving, too.
        """
        assert self._offsets is not None, "a group was given"
        return self._offsets.committed(partitions, self._seconds, wait=wait)

    def committed_of(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """The committed offset of each assigned partition, where there is one of its own topic.

        Does not wait for the group's coordinator.
        """
        by_id = {id_of(p): p for p in partitions}
        found = self.committed(by_id, wait=False)
        return {by_id[i]: c.offset for i, c in found.items() if c.is_of(by_id[i].topic_id)}

    def members(self, group: str) -> set[str]:
        """The ids of a group's members, as the brokers know them."""
        with _asking("asking who consumes the topics"):
            return self._of_coordinator(lambda admin, seconds: members(admin, group, seconds))

    def check_group_right(self, group: str) -> None:
        """Return where we may read a group, which joining it needs and committing its offsets.

        To be asked before its offsets: librdkafka waits for a coordinator that it is not told. One that
        is moving, or that brokers which have just started make, is waited for.
        """
        deadline = time.monotonic() + self._seconds
        while True:
            try:
                allowed = self._rights_on_group(group)
            except RefusedError:
                raise
            except ServiceAwayError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_AGAIN_SECONDS)
            else:
                break
        if allowed and not {AclOperation.READ, AclOperation.ALL} & set(allowed):
            raise RefusedError(
                "kafka",
                f"the worker may not read group {group}: grant the worker Read on its group",
            )

    def _rights_on_group(self, group: str) -> set[AclOperation]:
        with _asking(f"reading group {group}"):
            answer = self._of_coordinator(
                lambda admin, seconds: described_group(
                    admin, group, seconds, include_authorized_operations=True
                )
            )
            return set(answer.authorized_operations or ())

    def holders(self, group: str) -> dict[PartitionId, Member]:
        """Which member of a group holds which partition, as the brokers know it."""
        with _asking(f"asking who consumes in group {group}"):
            found = self._of_coordinator(lambda admin, seconds: holders(admin, group, seconds))
        return {PartitionId(*place): member for place, member in found.items()}

    def idle_members(self, group: str) -> set[str]:
        """The ids of members that hold no partition, of a group that is at rest."""
        with _asking("asking who consumes the topics"):
            return self._of_coordinator(lambda admin, seconds: idle_members(admin, group, seconds))

    def _of_coordinator(self, ask: Callable[[AdminClient, float], _Answer]) -> _Answer:
        """Ask a group's coordinator, where a broker answers: in half of the time, and `ask` has the rest."""
        # librdkafka aborts the process where a request to a coordinator that it could not ask has timed out
        # and the brokers come back. So none is made while no broker answers.
        began = time.monotonic()
        # One topic, which need not exist: of all others nothing is wanted.
        self._admin.list_topics("__consumer_offsets", timeout=self._seconds / 2)
        left = self._seconds - min(self._seconds / 2, time.monotonic() - began)
        try:
            return ask(self._admin, left)
        except KafkaException as error:
            # Where the brokers have just come back a client may ask for the coordinator in vain for good, and
            # another one is told at once (librdkafka 2.16, one restart of five).
            if self._renewed is not None and is_unanswered(error.args[0]):
                self._admin = self._renewed()
            raise

    def _described(self, topics: Iterable[str], **options: Any) -> dict[str, Any]:
        names = list(topics)

        def ask() -> dict[str, Any]:
            return self._admin.describe_topics(
                TopicCollection(names), request_timeout=self._seconds, **options
            )

        answers = ask()
        waits = any(waits_for_controller(answer.exception()) for answer in answers.values())
        return ask() if waits and renew_controller(self._admin, names[0]) else answers


def admin_client(settings: Settings, causes: ConnectionCauses) -> AdminClient:
    """A client that asks the brokers; why it cannot reach them is told to `causes`."""
    client = AdminClient(causes.watched(settings.admin_properties()), logger=_librdkafka)
    causes.poll(client)
    return client


def open_brokers(settings: Settings, application: str, *, settled: bool = True) -> Brokers:
    """The brokers of a command, once one of them has answered.

    `settled`: offsets that the group commits in transactions are asked for when these are decided, which
    takes as long as a member is frozen; else those before them are told. A command asks once and does not try again. Raises `ServiceAwayError` with the cause where no
    broker answers, at once where that will not pass by itself.
    """
    causes = ConnectionCauses(settings.bootstrap_servers, secrets=settings.secrets())
    made = partial(admin_client, settings, causes)
    admin = made()
    _wait_for_answer(admin, causes)
    return Brokers(
        admin,
        {
            **settings.consumer_properties(application),
            **_SMALL_ANSWERS,
            **({} if settled else {"isolation.level": "read_uncommitted"}),
        },
        seconds=_COMMAND_SECONDS,
        renewed=made,
    )


def _wait_for_answer(admin: AdminClient, causes: ConnectionCauses) -> None:
    deadline = time.monotonic() + _REACH_SECONDS
    while True:
        try:
            with _asking("asking the brokers for their topics"):
                admin.list_topics(timeout=_ATTEMPT_SECONDS)
        except ServiceAwayError as away:
            reason = causes.explained(away)
            if isinstance(reason, RefusedError):
                raise reason from away
            if time.monotonic() > deadline:
                raise ServiceAwayError("kafka", f"Kafka does not answer: {reason}") from away
        else:
            return


@contextmanager
def _asking(doing: str) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        raise failure(error.args[0], doing) from error
