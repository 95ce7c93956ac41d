"""A look at the topics out: what would be refused for ever is said before it is, in a sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from stream_app.errors import ConfigurationError, FatalError, RefusedError, ServiceAwayError
from stream_app.kafka.brokers import Brokers
from stream_app.wire.outgoing import Emitter

__all__ = ["OutputTopics"]

log = logging.getLogger(__name__)

_REQUEST_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 2.0
"""A look while the worker runs holds up what it does."""
_NARROW_MILLISECONDS: Final = 60_000
"""Clocks of a company's machines may be so far apart, and a record may wait so long for its brokers."""
_MARKER_MILLISECONDS: Final = 1_000
"""A marker has the time of the coordinator, and is written by the partition's leader."""


class OutputTopics:
    """The topics that a worker's emitters write to."""

    def __init__(
        self,
        brokers: Brokers,
        emitters: Sequence[Emitter],
        *,
        max_value_bytes: int,
        transactional: bool = False,
        warn: Callable[[str], None] = log.warning,
    ) -> None:
        """`max_value_bytes`: the largest value that is not dead-lettered for its size.

        `transactional`: whether they are written to in transactions. `warn` is told what serves, and
        may cost records one day.
        """
        self._brokers = brokers.within(_REQUEST_SECONDS)
        self._brokers_at_work = brokers.within(_LOOK_SECONDS)
        self._topics = list(dict.fromkeys(emitter.topic for emitter in emitters))
        self._kinds = {(emitter.topic, emitter.kind) for emitter in emitters}
        self._max_value_bytes = max_value_bytes
        self._transactional = transactional
        self._warn = warn
        self._limits: dict[str, int] = {}

    def limit_bytes(self, topic: str) -> int | None:
        """The max.message.bytes of a topic, where it was told."""
        return self._limits.get(topic)

    def check(self) -> None:
        """Look at everything, before the group is joined.

        Raises what `look` does, and `ConfigurationError` for a topic that cannot serve.
        """
        self._look_for_topics()
        settings = self._settings(self._brokers)
        self._check_ends(settings)
        if refused := self._brokers.not_writable(self._topics):
            raise RefusedError(
                "kafka", f"the worker may not write to topic {refused[0]}: grant it Write on it"
            )
        self._check_settings(settings)

    def look(self) -> None:
        """See whether the topics exist; raises what `errors.failure` says.

        And whether a transaction in them can end; raises `ConfigurationError`.
        """
        self._look_for_topics()
        if self._transactional:
            self._check_ends(self._settings(self._brokers, logging.DEBUG))

    def _look_for_topics(self) -> None:
        for topic in self._topics:
            try:
                partitions = self._brokers_at_work.partitions(topic, f"writing to topic {topic}")
            except ServiceAwayError:
                self._brokers.poll()  # lets out its lines of the log, which say why
                raise
            if not partitions:
                raise RefusedError("kafka", f"topic {topic} has no partitions")

    def why_unacknowledged(self) -> str | None:
        """Why the brokers acknowledge nothing, where that is, or may be, for want of replicas.

        They refuse with NOT_ENOUGH_REPLICAS then, which librdkafka tries again and does not tell.
        """
        perhaps = None
        try:
            settings = self._settings(self._brokers_at_work, logging.DEBUG)
            for topic in self._topics:
                least = _number(settings.get(topic, {}), "min.insync.replicas") or 1
                for number, (in_sync, replicas) in self._brokers_at_work.in_sync(topic).items():
                    found = f"of {replicas} replicas of {topic}[{number}] {in_sync} are in sync, "
                    if in_sync < least:
                        return f"{found}and min.insync.replicas is {least}"
                    if topic not in settings and in_sync < replicas and perhaps is None:
                        perhaps = (
                            f"{found}which may be fewer than min.insync.replicas: the brokers do "
                            "not tell that setting (DescribeConfigs on the topic is missing)"
                        )
        except (ServiceAwayError, FatalError) as error:
            log.debug("while acknowledgements are waited for: %s", error)
        return perhaps

    def _check_ends(self, settings: Mapping[str, Mapping[str, str]]) -> None:
        """Check the timestamp bounds of the topics: brokers apply them to control records as well.

        Brokers that refuse the control record that ends a transaction try again for ever, and say
        only that the transaction is being ended.
        """
        for topic, config in settings.items() if self._transactional else ():
            for name, bound in _clock_bounds(config):
                if bound < _MARKER_MILLISECONDS:
                    raise ConfigurationError(
                        f"topic {topic} has {name}={bound}: with so little the brokers refuse their "
                        "own markers, and a transaction never ends (delivery = exactly_once); "
                        f"set it to {_NARROW_MILLISECONDS} or more"
                    )

    def _settings(
        self, brokers: Brokers, level: int = logging.INFO
    ) -> Mapping[str, Mapping[str, str]]:
        """The settings of the topics, where the brokers give them.

        The worker can do without settings: it waits for brokers that are away, but not where they
        refuse to answer. `level`: of the log lines that say why there are none.
        """
        try:
            told = brokers.settings(self._topics)
        except (RefusedError, FatalError) as error:
            log.log(level, "the settings of the topics out are not looked at: %s", error)
            return {}
        for topic, settings in told.items():
            if settings is None:
                log.log(
                    level,
                    "the settings of topic %s are not looked at: DescribeConfigs on it is missing",
                    topic,
                )
        return {topic: settings for topic, settings in told.items() if settings is not None}

    def _check_settings(self, settings: Mapping[str, Mapping[str, str]]) -> None:
        for topic, config in settings.items():
            is_compacted = "compact" in config.get("cleanup.policy", "")
            if is_compacted and self._holds(topic, "dead letter"):
                raise ConfigurationError(
                    f"topic {topic} is for dead letters and has cleanup.policy="
                    f"{config['cleanup.policy']}: letters of one key would replace each other, and "
                    "those without key are refused; set cleanup.policy=delete"
                )
            if is_compacted:
                without_key = "a row without key is dropped"
                if self._holds(topic, "prediction"):
                    without_key = "an event without key becomes a dead letter"
                self._warn(
                    f"topic {topic} is compacted: of records with one key the newest alone is kept, "
                    f"and {without_key}"
                )
            self._look_at_size(topic, _number(config, "max.message.bytes"))
            self._look_at_clock(topic, config)
            self._look_at_elections(topic, config)

    def _holds(self, topic: str, kind: str) -> bool:
        return (topic, kind) in self._kinds

    def _look_at_size(self, topic: str, limit: int | None) -> None:
        if limit is None:
            return
        self._limits[topic] = limit
        if limit < self._max_value_bytes and self._holds(topic, "dead letter"):
            self._warn(
                f"topic {topic} takes {limit} bytes (max.message.bytes), and max_value_bytes is "
                f"{self._max_value_bytes}: the dead letter of a larger record goes out without its "
                "value"
            )

    def _look_at_clock(self, topic: str, config: Mapping[str, str]) -> None:
        for name, bound in _clock_bounds(config):
            if bound < _NARROW_MILLISECONDS:
                self._warn(
                    f"topic {topic} has {name}={bound}: a worker whose clock is further from the "
                    "brokers' clocks, or whose records waited longer for the brokers, ends"
                )

    def _look_at_elections(self, topic: str, config: Mapping[str, str]) -> None:
        if config.get("unclean.leader.election.enable") == "true":
            ends = ", or a transaction never ends" if self._transactional else ""
            self._warn(
                f"topic {topic} has unclean.leader.election.enable=true: when brokers fail, "
                f"predictions that were acknowledged are lost{ends}; set it to false"
            )


def _clock_bounds(config: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    if config.get("message.timestamp.type") == "LogAppendTime":
        return
    for name in ("message.timestamp.before.max.ms", "message.timestamp.after.max.ms"):
        bound = _number(config, name)
        if bound is not None:
            yield name, bound


def _number(config: Mapping[str, str], name: str) -> int | None:
    try:
        return int(config[name])
    except (KeyError, ValueError):
        return None
