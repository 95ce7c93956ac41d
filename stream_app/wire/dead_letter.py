"""Dead letters: the record as it came, and headers that say where it failed and why."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Set
from datetime import UTC, datetime
from typing import Final

from stream_app.records.batch import Outgoing
from stream_app.records.headers import Headers
from stream_app.records.item import Item
from stream_app.records.record import Record
from stream_app.text.foreign import bounded

__all__ = ["PREFIX", "DeadLetters"]

PREFIX = "dead-letter."
_DIGITS = 9
_MESSAGE_CHARACTERS: Final = 500
_OMISSIONS: Final = (
    frozenset({"headers"}),
    frozenset({"headers", "key"}),
    frozenset({"headers", "value"}),
    frozenset({"headers", "key", "value"}),
)
"""What is left out of a letter that is too large, step by step: a key that was left out in vain comes
back."""


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
        attempts = 1
        for name, value in record.headers:
            if name == f"{PREFIX}attempts":
                attempts = _count(value) + 1
        source = record.partition.source
        about = {
            "topic": record.partition.topic,
            "topic-id": source.topic_id if source else "",
            "partition": str(record.partition.number),
            "offset": str(record.offset),
            "timestamp": "" if record.timestamp is None else _rfc3339(record.timestamp),
            "group": self._group,
            "stage": failure.stage,
            # A decoder of the use case's own may say anything.
            "reason": bounded(str(failure.reason)),
            "message": bounded(str(failure.message), _MESSAGE_CHARACTERS),
            "field": bounded(str(failure.field or "")),
            "disposition": failure.disposition,
            "attempts": str(attempts),
            "code-version": self._code_version,
            "model-version": self._model_version,
            "failed-at": _rfc3339(self._clock()),
            "state": "applied" if item.is_applied else "not-applied",
        }
        ours: Headers = [(PREFIX + name, value.encode()) for name, value in about.items()]
        headers = _came(record) + ours
        return Outgoing(
            self._topic, record.key, record.value, headers, record.partition, item, "dead letter"
        )

    def smaller(self, letter: Outgoing) -> Outgoing | None:
        """The letter with less in it, and headers that say what was left out; None: it is minimal.

        First the headers that came with the record go, then its key. The value goes last.
        """
        assert letter.item is not None
        record = letter.item.record
        contents = {"headers": _came(record), "key": record.key, "value": record.value}
        has = {part for part, content in contents.items() if content}
        steps = list(dict.fromkeys(step & has for step in _OMISSIONS))
        names = {name for name, _ in letter.headers}
        omitted = frozenset(part for part in has if f"{PREFIX}{part}-omitted-bytes" in names)
        behind = [step for step in steps[steps.index(omitted) + 1 if omitted else 0 :] if step]
        return _without(letter, record, behind[0]) if behind else None


def _without(letter: Outgoing, record: Record, parts: Set[str]) -> Outgoing:
    ours = [h for h in letter.headers if h[0].startswith(PREFIX) and "-omitted-" not in h[0]]
    content = {"headers": _packed(_came(record)), "key": record.key, "value": record.value}
    for part in ("headers", "key", "value"):
        if part in parts:
            left_out = content[part] or b""
            digest = hashlib.sha256(left_out).hexdigest()
            ours.append((f"{PREFIX}{part}-omitted-bytes", b"%d" % len(left_out)))
            ours.append((f"{PREFIX}{part}-omitted-sha256", digest.encode()))
    return Outgoing(
        letter.topic,
        None if "key" in parts else record.key,
        None if "value" in parts else record.value,
        ours if "headers" in parts else _came(record) + ours,
        letter.source,
        letter.item,
        letter.kind,
    )


def _came(record: Record) -> Headers:
    """The headers that came with the record."""
    return [header for header in record.headers if not header[0].startswith(PREFIX)]


def _packed(headers: Headers) -> bytes:
    """The bytes of headers whose length and digest are told: each name and value, a zero behind."""
    packed = bytearray()
    for name, value in headers:
        text = value.encode() if isinstance(value, str) else value or b""
        packed += name.encode() + b"\0" + text + b"\0"
    return bytes(packed)


def _count(value: str | bytes | None) -> int:
    """The number in a header that anybody may have written."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else value or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0


def _rfc3339(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.3f}"  # no calendar knows it: seconds since the epoch
