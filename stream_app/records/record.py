"""A record as it was consumed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from stream_app.records.failure import Failure
from stream_app.records.headers import (
    Header,
    first_headers,
    read_headers,
    salvaged_headers,
    size_of,
    too_many,
)
from stream_app.records.partition import Partition

__all__ = ["Record"]


class Record:
    """A record as it was consumed."""

    __slots__ = (
        "headers", "key", "known_at", "offset", "partition", "refusal", "size", "timestamp", "value",
    )  # fmt: skip

    def __init__(
        self,
        partition: Partition,
        offset: int,
        timestamp: float | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[Header] | None = None,
        refusal: Failure | None = None,
    ) -> None:
        self.partition = partition
        self.offset = offset
        self.timestamp = timestamp
        """Record timestamp in seconds since the epoch, or None where the record has none."""
        self.known_at = math.inf if timestamp is None else timestamp
        """When it became known, in seconds since the epoch; see `record_clock`."""
        self.key = key
        self.value = value
        self.headers: Sequence[Header] = headers or ()
        self.refusal = refusal
        """Why it cannot be taken, whatever its value is; None for nearly all."""
        self.size = len(value or b"") + len(key or b"")
        """Bytes of key, value and headers, these with their objects."""
        if headers:
            self.size += size_of(headers)

    @property
    def topic(self) -> str:
        """The topic it was read from."""
        return self.partition.topic

    @classmethod
    def of(cls, partition: Partition, message: Any) -> Record:
        """The record that a message of confluent-kafka's consumer carries."""
        kind, milliseconds = message.timestamp()
        timestamp = milliseconds / 1_000.0 if kind else None
        headers: Sequence[Header] | None
        try:
            headers, refusal = read_headers(message), None
            if headers is not None and (refusal := too_many(headers)) is not None:
                headers = first_headers(message, headers)
        except Exception:  # noqa: BLE001 - a SystemError where a header's name is not UTF-8
            headers, refusal = salvaged_headers(message)
        return cls(
            partition, message.offset(), timestamp, message.key(), message.value(), headers, refusal
        )
