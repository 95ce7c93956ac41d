"""A record of a log outside Kafka: what a decoder is given in training and in checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LogRecord"]


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One record of a log, as it would lie in its topic."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, str | bytes | None]] = ()
    timestamp: float | None = None
    """Seconds since the epoch. None: it became known at its event's time."""
    partition: int = 0
