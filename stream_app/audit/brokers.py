"""What the brokers say of topics and of the group: ids, policies, offsets. Nothing is written."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports silently
    AdminClient,
    ConfigResource,
    OffsetSpec,
    ResourceType,
)

from stream_app.audit.places import Place
from stream_app.broker_queries import as_kafka_shows_it, cluster_id, log_offsets
from stream_app.connection_causes import ConnectionCauses
from stream_app.errors import ConfigurationError, RefusedError, ServiceAwayError
from stream_app.kafka_errors import Kind, error_of, verdict
from stream_app.logs import get_logger
from stream_app.offsets import topic_id_of
from stream_app.settings import Settings

__all__ = ["Brokers", "Committed", "EventRules", "Topic", "answer_of"]

_REQUEST_SECONDS: Final = 30.0
_REACH_SECONDS: Final = 10.0
"""Who asked for an account waits for it, and a broker that starts is there in less."""
_ATTEMPT_SECONDS: Final = 1.0
_AGAIN_SECONDS: Final = 0.2
_AHEAD_SECONDS: Final = 86_400.0
"""How far ahead of its append a record's timestamp is taken to be where brokers allow more, or do not
say what they allow."""

_librdkafka = get_logger("librdkafka")


@dataclass(frozen=True)
class Topic:
    """A topic as it is now."""

    name: str
    topic_id: str
    """As Kafka's own tools print it."""
    cluster_id: str
    partitions: int

    @property
    def places(self) -> list[Place]:
        """Its partitions."""
        return [Place(self.name, number) for number in range(self.partitions)]


@dataclass(frozen=True)
class Committed:
    """What a group has committed for a partition."""

    offset: int
    topic_id: str | None
    """The incarnation of the topic it was committed for; None where a person set it."""


@dataclass(frozen=True)
class EventRules:
    """What the settings of the event topics mean for an account of their records."""

    ahead_seconds: float
    """How far ahead of its append a record's timestamp may be."""
    may_compact: frozenset[str]
    """Topics from which compaction may remove records that had outputs."""
    untold: tuple[str, ...]
    """Topics whose settings brokers do not tell."""


class Brokers:
    """Asks the brokers; every method raises `ServiceAwayError` where they do not answer."""

    def __init__(self, settings: Settings, application: str) -> None:
        self._causes = ConnectionCauses(settings.bootstrap_servers, secrets=settings.secrets())
        self._admin = AdminClient(
            self._causes.watched(settings.admin_properties()), logger=_librdkafka
        )
        self._causes.poll(self._admin)
        # It never joins the group. The admin client's own call for a group's offsets ends the
        # process (seen with librdkafka 2.16: a client without a group is asked for its group).
        self._properties = {
            **settings.consumer_properties(application),
            "group.protocol": "classic",
            "auto.offset.reset": "error",
            # Small answers and a short queue: an audit reads a lot and must hold little. What an
            # answer unpacks to, ten times its size or more, is not counted in any of these.
            "fetch.max.bytes": 2**20,
            "max.partition.fetch.bytes": 256 * 1024,
            "queued.max.messages.kbytes": 8 * 1024,
            # How long an answer waits for records at the end of a log.
            "fetch.wait.max.ms": 50,
        }
        self._properties.pop("group.instance.id", None)
        self._member = self.consumer()

    def consumer(self) -> Consumer:
        """A consumer that reads what is committed and joins no group."""
        return Consumer(self._properties, logger=_librdkafka)

    def close(self) -> None:
        """Let go of the connections."""
        self._member.close()

    def topics(self, names: Sequence[str]) -> dict[str, Topic]:
        """Describe topics; raises `ConfigurationError` for one that does not exist."""
        self._reach()
        try:
            futures = self._admin.describe_topics(
                TopicCollection(list(dict.fromkeys(names))), request_timeout=_REQUEST_SECONDS
            )
        except KafkaException as error:
            raise answer_of(error) from error
        found = {}
        for name, future in futures.items():
            try:
                described = future.result()
            except KafkaException as error:
                if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise ConfigurationError(f"The topic {name} does not exist.") from None
                raise answer_of(error) from error
            topic_id = as_kafka_shows_it(described.topic_id)
            partitions = len(described.partitions)
            try:
                cluster = cluster_id(self._admin, name, _REQUEST_SECONDS)
            except KafkaException as error:
                raise answer_of(error) from error
            found[name] = Topic(name, topic_id, cluster, partitions)
        return found

    def _reach(self) -> None:
        """Return when a broker answers; raises why none does, at once where that will not pass."""
        deadline = time.monotonic() + _REACH_SECONDS
        while True:
            try:
                self._admin.list_topics(timeout=_ATTEMPT_SECONDS)
            except KafkaException as error:
                reason = answer_of(error)
                if isinstance(reason, ServiceAwayError):
                    reason = self._causes.explained(reason)
                    if not isinstance(reason, RefusedError) and time.monotonic() < deadline:
                        continue
                raise reason from error
            else:
                return

    def refuse_compacted(self, names: Collection[str]) -> None:
        """Raise `ConfigurationError` if compaction may remove records of one of the topics."""
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        futures = self._admin.describe_configs(resources, request_timeout=_REQUEST_SECONDS)
        for resource, future in futures.items():
            try:
                entry = future.result().get("cleanup.policy")
            except KafkaException as error:
                if error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    raise ConfigurationError(
                        f"The cleanup policy of the topic {resource.name} must be known, and "
                        "brokers do not tell it: allow DescribeConfigs on it."
                    ) from None
                raise answer_of(error) from error
            if entry is None:
                raise ConfigurationError(
                    f"The cleanup policy of the topic {resource.name} must be known, and brokers "
                    "do not tell it."
                )
            policy = str(entry.value)
            if "compact" in policy:
                raise ConfigurationError(
                    f"The topic {resource.name} is compacted (cleanup.policy={policy}): compaction "
                    "removes predictions and dead letters, so nothing can be proven. Set "
                    "cleanup.policy=delete, and audit what was written since."
                )

    def event_rules(self, names: Collection[str]) -> EventRules:
        """What the settings of the event topics say; where they are not told, the widest."""
        ahead, may_compact, untold = 0.0, set(), []
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        futures = self._admin.describe_configs(resources, request_timeout=_REQUEST_SECONDS)
        for resource, future in futures.items():
            told: dict[str, str] = {}
            try:
                told = {name: str(entry.value) for name, entry in future.result().items()}
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    raise answer_of(error) from error
            if "cleanup.policy" not in told:
                untold.append(resource.name)
            if "compact" in told.get("cleanup.policy", "compact"):
                may_compact.add(resource.name)
            ahead = max(ahead, _allowed_ahead(told))
        return EventRules(ahead, frozenset(may_compact), tuple(untold))

    def committed(self, places: Sequence[Place]) -> dict[Place, Committed]:
        """What the group has committed; partitions without a commit are left out.

        Offsets in transactions that are not decided are waited for.
        """
        found = {}
        for each in self._ask_committed([TopicPartition(*place) for place in places]):
            if each.error is not None:
                raise answer_of(KafkaException(each.error))
            if each.offset >= 0:
                topic_id = topic_id_of(each.metadata)
                found[Place(each.topic, each.partition)] = Committed(each.offset, topic_id)
        return found

    def _ask_committed(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Ask until a coordinator is there: it may be about to move, or to load the group."""
        deadline = time.monotonic() + _REQUEST_SECONDS
        while True:
            try:
                left = max(_AGAIN_SECONDS, deadline - time.monotonic())
                return self._member.committed(partitions, timeout=left)
            except KafkaException as error:
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    raise answer_of(error) from error
            time.sleep(_AGAIN_SECONDS)

    def starts(self, places: Sequence[Place]) -> dict[Place, int]:
        """The first offset that each log still holds."""
        return self._offsets(places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def ends(self, places: Sequence[Place], *, decided: bool) -> dict[Place, int]:
        """The end offset of each log; `decided`: before the first open transaction."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        return self._offsets(places, latest, decided=decided)

    def first_at(self, places: Sequence[Place], seconds: float) -> dict[Place, int | None]:
        """The offset of the first record with this timestamp or a later one, or None."""
        spec = OffsetSpec.for_timestamp(math.ceil(seconds * 1_000))
        found = self._offsets(places, spec)
        return {place: None if offset < 0 else offset for place, offset in found.items()}

    def _offsets(
        self, places: Sequence[Place], spec: OffsetSpec, *, decided: bool = True
    ) -> dict[Place, int]:
        isolation = IsolationLevel.READ_COMMITTED if decided else IsolationLevel.READ_UNCOMMITTED
        try:
            found = log_offsets(self._admin, places, spec, _REQUEST_SECONDS, isolation)
        except KafkaException as error:
            raise answer_of(error) from error
        return {Place(*place): offset for place, offset in found.items()}


def _allowed_ahead(told: Mapping[str, str]) -> float:
    """How far ahead of the broker's clock a topic lets timestamps be, in seconds."""
    if told.get("message.timestamp.type") == "LogAppendTime":
        return 0.0
    for name in ("message.timestamp.after.max.ms", "message.timestamp.difference.max.ms"):
        if name in told:
            return min(int(told[name]) / 1_000.0, _AHEAD_SECONDS)
    return _AHEAD_SECONDS


def answer_of(error: KafkaException) -> Exception:
    """What to raise of a request that failed: a service that is away, or what is refused for good."""
    found = error_of(error)
    if found is None or verdict(found).kind is Kind.PASSING:
        return ServiceAwayError(
            "kafka", f"Kafka does not answer: {found.str() if found else error}"
        )
    return ConfigurationError(f"Kafka refuses the audit: {found.str()}; {verdict(found).remedy}")
