"""The topic of resolutions: looked at, and created where it is missing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from stream_app.config.settings import Settings
from stream_app.errors import ConfigurationError, RefusedError
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.errors import is_existing_topic
from stream_app.kafka.topic_records import existing_partitions

__all__ = ["ensure_topic"]

_SECONDS: Final = 30.0
_KNOWN_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 0.1
_SETTINGS: Final = {"cleanup.policy": "compact"}

T = TypeVar("T")

_librdkafka = logging.getLogger("librdkafka")


def ensure_topic(settings: Settings, brokers: Brokers, topic: str, dead_letters_topic: str) -> None:
    """See that the topic of resolutions exists, is compacted and may be written.

    Created with one partition, kept as often as the dead-letter topic. Raises `ConfigurationError`
    that names the right that is missing.
    """
    if not existing_partitions(brokers, topic):
        replicas = max(count for _, count in brokers.in_sync(dead_letters_topic).values())
        _create(settings, topic, replicas)
    told = _once_known(lambda: brokers.settings([topic])[topic])
    if told is not None and "compact" not in told.get("cleanup.policy", "compact"):
        raise ConfigurationError(
            f"topic {topic} is for the resolutions of dead letters and has cleanup.policy="
            f"{told['cleanup.policy']}: with the marks that retention removes, letters would be "
            "replayed twice; set cleanup.policy=compact"
        )
    if _once_known(lambda: brokers.not_writable([topic])):
        raise ConfigurationError(
            f"the resolutions of dead letters may not be written to topic {topic}: grant whoever "
            "replays Write on it, and let producers of events have none"
        )


def _once_known(ask: Callable[[], T]) -> T:
    """What brokers answer as soon as each of them knows a topic that was just created."""
    deadline = time.monotonic() + _KNOWN_SECONDS
    while True:
        try:
            return ask()
        except RefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_AGAIN_SECONDS)


def _create(settings: Settings, topic: str, replicas: int) -> None:
    admin: Any = AdminClient(settings.admin_properties(), logger=_librdkafka)
    wanted = NewTopic(topic, 1, replicas, config=dict(_SETTINGS))
    (answer,) = admin.create_topics(
        [wanted], operation_timeout=_SECONDS, request_timeout=_SECONDS
    ).values()
    try:
        answer.result()
    except KafkaException as failed:
        error = failed.args[0]
        if not is_existing_topic(error):
            raise ConfigurationError(
                f"topic {topic}, for the resolutions of dead letters, is not there and may not be "
                f"created ({error.str()}): grant whoever replays Create on it, or create it with "
                "one partition and cleanup.policy=compact"
            ) from failed
