"""Dead letters: the record as it came, and headers that say where it failed and why."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from stream_app.records import Headers, Item, Outgoing

__all__ = ["PREFIX", "DeadLetters"]

PREFIX = "dead-letter."
_DIGITS = 9


class DeadLetters:
    """Writes dead letters for one worker."""

    def __init__(
        self,
        topic: str,
        *,
        group: str,
        code_version: str,
        model_version: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._topic = topic
        self._group = group
        self._code_version = code_version
        self._model_version = model_version
        self._clock = clock

    def __call__(self, item: Item) -> Outgoing:
        """The dead letter of a failed item: key, value and headers as they came, and ours."""
        record, failure = item.record, item.failure
        assert failure is not None
        came: Headers = []
        attempts = 1
        for name, value in record.headers:
            if name == f"{PREFIX}attempts":
                attempts = _count(value) + 1
            if not name.startswith(PREFIX):
                came.append((name, value))
        source = record.partition.source
        about = {
            "topic": record.partition.topic,
            "topic-id": source.topic_id if source else "",
            "partition": str(record.partition.number),
            "offset": str(record.offset),
            "timestamp": "" if record.timestamp is None else _rfc3339(record.timestamp),
            "group": self._group,
            "stage": failure.stage,
            "reason": failure.reason,
            "message": failure.message,
            "field": failure.field or "",
            "disposition": failure.disposition,
            "attempts": str(attempts),
            "code-version": self._code_version,
            "model-version": self._model_version,
            "failed-at": _rfc3339(self._clock()),
            "state": "applied" if failure.stage == "score" and item.event else "not-applied",
        }
        ours: Headers = [(PREFIX + name, value.encode()) for name, value in about.items()]
        return Outgoing(self._topic, record.key, record.value, came + ours, record.partition)


def _count(value: str | bytes | None) -> int:
    """The number in a header that anybody may have written."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else value or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0


def _rfc3339(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.3f}"  # no calendar knows it: seconds since the epoch
