"""The name of a record for ever: topic id, partition, offset. Prediction ids are made of it.

A record that is replayed lies somewhere else, and says in its headers which record it was at first
(`replay-of`) and whether that one had updated the state (`replay-state`: applied or not-applied).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Headers", "Origin", "origin_of", "replayed_origin", "text", "was_applied"]

Headers = Mapping[str, str | bytes | None]


class Origin(NamedTuple):
    """A record of one incarnation of a topic."""

    topic_id: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """The name that prediction ids and `replay-of` give it."""
        return f"{self.topic_id}-{self.partition}-{self.offset}"


def origin_of(named: str) -> Origin:
    """From TOPIC-ID-PARTITION-OFFSET, a topic id may hold hyphens itself; raises `ValueError`."""
    topic_id, partition, offset = named.rsplit("-", 2)
    return Origin(topic_id, int(partition), int(offset))


def replayed_origin(headers: Headers) -> Origin | None:
    """The first origin of a replayed record; None for any other record.

    Anybody may write such a header to an event topic: one that names no record is ignored.
    """
    if "replay-of" not in headers:
        return None
    try:
        return origin_of(text(headers, "replay-of"))
    except ValueError:
        return None


def was_applied(headers: Headers) -> bool:
    """Whether the first origin of a replayed record had updated the state."""
    try:
        return text(headers, "replay-state") == "applied"
    except (KeyError, ValueError):
        return False


def text(headers: Headers, name: str) -> str:
    """The text of a header; raises `KeyError` or `ValueError`."""
    value = headers[name]
    if value is None:
        raise ValueError(f"the header {name} has no value")
    return value.decode() if isinstance(value, bytes) else value
