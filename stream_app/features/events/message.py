"""A record, as a decoder is given it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

__all__ = ["LogRecord", "Message", "header_of"]


class Message(Protocol):
    """A record, as a decoder is given it. The same record always has to give the same event."""

    @property
    def value(self) -> bytes | None:
        """The record's value; None for a tombstone, which only decoders that say so are given."""

    @property
    def key(self) -> bytes | None:
        """The record's key."""

    @property
    def headers(self) -> Sequence[tuple[str, str | bytes | None]]:
        """Names and values, in the order in which they stand in the record; names may repeat."""

    @property
    def timestamp(self) -> float | None:
        """The record's timestamp in seconds since the epoch, or None where the record has none."""

    @property
    def topic(self) -> str:
        """The topic it was read from."""


class LogRecord(NamedTuple):
    """A record that was not read from Kafka: of a log kept in a file, or of a test."""

    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, str | bytes | None]] = ()
    timestamp: float | None = None
    """Seconds since the epoch. None: it became known at its event's time."""
    topic: str = ""
    partition: int = 0


def header_of(message: Message, name: str) -> bytes | None:
    """The value of the last header of this name, as Kafka's own clients read it; None for none."""
    for each, value in reversed(message.headers):
        if each == name:
            return value.encode() if isinstance(value, str) else value
    return None
