"""How long the brokers keep a record, as the topics' configuration says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from stream_app.kafka.errors import failure

__all__ = ["longest_retention_seconds", "retention_seconds"]

_REQUEST_SECONDS: Final = 10.0


def longest_retention_seconds(admin: AdminClient, topics: Sequence[str]) -> float | None:
    """How long a record may stay in any of the topics, in seconds; None: for ever.

    Raises `ServiceAwayError` where the brokers do not say, be it that they are away or that the
    worker may not ask (DescribeConfigs).
    """
    resources = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in topics]
    try:
        futures = admin.describe_configs(resources, request_timeout=_REQUEST_SECONDS)
        configs: list[dict[str, Any]] = [future.result() for future in futures.values()]
    except KafkaException as error:
        raise failure(
            error.args[0], f"asking for the configuration of {', '.join(topics)}"
        ) from error
    stays = [
        retention_seconds({name: entry.value for name, entry in config.items()})
        for config in configs
    ]
    return None if None in stays else max([0.0, *[stay for stay in stays if stay is not None]])


def retention_seconds(config: Mapping[str, str | None]) -> float | None:
    """How long a record may stay in a topic of this configuration; None: for ever, or not known.

    Records leave by the segment, whose newest record counts; so the oldest stays longer by the time
    that a segment may span. Not every Kafka service tells all of these settings.
    """
    try:
        kept, segment = int(config["retention.ms"] or ""), int(config["segment.ms"] or "")
        deletes = "delete" in (config["cleanup.policy"] or "")
    except (KeyError, ValueError):
        return None
    return (kept + segment) / 1_000.0 if deletes and kept >= 0 else None
