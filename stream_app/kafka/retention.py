"""How long the brokers keep a record, as the topics' configuration says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stream_app.errors import RefusedError
from stream_app.kafka.brokers import Brokers

__all__ = ["longest_retention_seconds", "retention_seconds"]


def longest_retention_seconds(brokers: Brokers, topics: Sequence[str]) -> float | None:
    """How long a record may stay in any of the topics, in seconds; None: for ever.

    Raises `ServiceAwayError` where the brokers do not say, be it that they are away or that the
    worker may not ask (DescribeConfigs).
    """
    stays = []
    for topic, settings in brokers.settings(topics).items():
        if settings is None:
            raise RefusedError(
                "kafka", f"the settings of topic {topic} are not told: grant DescribeConfigs on it"
            )
        stays.append(retention_seconds(settings))
    return None if None in stays else max([0.0, *[stay for stay in stays if stay is not None]])


def retention_seconds(settings: Mapping[str, str]) -> float | None:
    """How long a record may stay in a topic of these settings; None: for ever, or not known.

    Records leave by the segment, whose newest record counts; so the oldest stays longer by the time
    that a segment may span. Not every Kafka service tells all of these settings.
    """
    try:
        kept, segment = int(settings["retention.ms"]), int(settings["segment.ms"])
        deletes = "delete" in settings["cleanup.policy"]
    except (KeyError, ValueError):
        return None
    return (kept + segment) / 1_000.0 if deletes and kept >= 0 else None
