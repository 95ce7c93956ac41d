"""What the settings of topics mean for an account of their records."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from stream_app.errors import ConfigurationError
from stream_app.kafka.brokers import Brokers

__all__ = ["EventRules", "event_rules", "refuse_compacted"]

_AHEAD_SECONDS: Final = 86_400.0
"""How far ahead of its append a record's timestamp is taken to be where brokers allow more, or do not
say what they allow."""


@dataclass(frozen=True)
class EventRules:
    """What the settings of the event topics mean for an account of their records."""

    ahead_seconds: float
    """How far ahead of its append a record's timestamp may be."""
    may_compact: frozenset[str]
    """Topics from which compaction may remove records that had outputs."""
    untold: tuple[str, ...]
    """Topics whose settings brokers do not tell."""


def refuse_compacted(brokers: Brokers, topics: Collection[str]) -> None:
    """Raise `ConfigurationError` if compaction may remove records of one of the topics."""
    for topic, settings in brokers.settings(topics).items():
        if settings is None:
            raise ConfigurationError(
                f"The cleanup policy of the topic {topic} must be known, and brokers do not tell "
                "it: allow DescribeConfigs on it."
            )
        policy = settings.get("cleanup.policy")
        if policy is None:
            raise ConfigurationError(
                f"The cleanup policy of the topic {topic} must be known, and brokers do not tell it."
            )
        if "compact" in policy:
            raise ConfigurationError(
                f"The topic {topic} is compacted (cleanup.policy={policy}): compaction removes "
                "predictions and dead letters, so nothing can be proven. Set "
                "cleanup.policy=delete, and audit what was written since."
            )


def event_rules(brokers: Brokers, topics: Collection[str]) -> EventRules:
    """What the settings of the event topics say; where they are not told, the widest."""
    ahead, may_compact, untold = 0.0, set(), []
    for topic, settings in brokers.settings(topics).items():
        told = settings or {}
        if "cleanup.policy" not in told:
            untold.append(topic)
        if "compact" in told.get("cleanup.policy", "compact"):
            may_compact.add(topic)
        ahead = max(ahead, _allowed_ahead(told))
    return EventRules(ahead, frozenset(may_compact), tuple(untold))


def _allowed_ahead(told: Mapping[str, str]) -> float:
    """How far ahead of the broker's clock a topic lets timestamps be, in seconds."""
    if told.get("message.timestamp.type") == "LogAppendTime":
        return 0.0
    for name in ("message.timestamp.after.max.ms", "message.timestamp.difference.max.ms"):
        if name in told:
            return min(int(told[name]) / 1_000.0, _AHEAD_SECONDS)
    return _AHEAD_SECONDS
