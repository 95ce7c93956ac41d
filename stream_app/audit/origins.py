"""The name of a record for ever: topic id, partition, offset. Prediction ids are made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Headers", "Origin", "origin_of", "replayed_origin", "text"]

Headers = Mapping[str, str | bytes | None]


class Origin(NamedTuple):
    """A record of one incarnation of a topic."""

    topic_id: str
    partition: int
    offset: int


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


def text(headers: Headers, name: str) -> str:
    """The text of a header; raises `KeyError` or `ValueError`."""
    value = headers[name]
    if value is None:
        raise ValueError(f"the header {name} has no value")
    return value.decode() if isinstance(value, bytes) else value
