"""What a test sends: records of event topics, as producers send them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from zlib import crc32

from pydantic import JsonValue

from stream_app.features.events import Event, LogRecord
from stream_app.features.usecase import TimeBounds, UseCase
from stream_app.predictor.undelivered import UndeliveredRecords

__all__ = ["Sent", "completed", "events_of"]

_APART_SECONDS = 0.001
"""Kafka's timestamps are milliseconds: so records take effect in the order of the list."""
_ANY_TIME = TimeBounds(earliest=0.0, latest=1e11)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A record that a test sends to an event topic."""

    topic: str
    value: bytes | JsonValue
    """Bytes as they are, None for a tombstone; anything else is written as JSON."""
    key: str | bytes | None = None
    headers: Mapping[str, str | bytes] | Sequence[tuple[str, bytes | None]] = ()
    timestamp: float | None = None
    """Seconds since the epoch. By default the time of the event, and a millisecond after the record
    before it where that is later: the records take effect in the order in which they are given."""
    partition: int | None = None
    """By default the key's, as a producer's partitioner has it; 0 without a key."""

    @property
    def key_bytes(self) -> bytes | None:
        """The key as it goes out."""
        return self.key.encode() if isinstance(self.key, str) else self.key

    @property
    def value_bytes(self) -> bytes | None:
        """The value as it goes out."""
        if self.value is None or isinstance(self.value, bytes):
            return self.value
        return json.dumps(self.value, ensure_ascii=False).encode()

    @property
    def header_list(self) -> list[tuple[str, bytes | None]]:
        """The headers as they go out."""
        pairs = self.headers.items() if isinstance(self.headers, Mapping) else self.headers
        return [(name, v.encode() if isinstance(v, str) else v) for name, v in pairs]

    @property
    def log_record(self) -> LogRecord:
        """The record as it goes out, for decoders."""
        return LogRecord(
            self.value_bytes,
            self.key_bytes,
            self.header_list,
            self.timestamp,
            self.topic,
            self.partition or 0,
        )


def completed(usecase: UseCase, records: Sequence[Sent]) -> list[Sent]:
    """The records with the partitions and timestamps that were left open.

    Raises `ValueError` for a topic or a partition that the use case does not have.
    """
    counts = {topic.name: topic.partitions for topic in usecase.topics}
    read = _Reader(usecase)
    given, before = [], 0.0
    for number, sent in enumerate(records):
        if sent.topic not in counts:
            raise ValueError(
                f"record {number} goes to the topic {sent.topic}; the use case {usecase.name} reads "
                f"{', '.join(counts)}"
            )
        partition = sent.partition
        if partition is None:
            partition = crc32(sent.key_bytes or b"") % counts[sent.topic]
        elif not 0 <= partition < counts[sent.topic]:
            raise ValueError(
                f"record {number} goes to partition {partition} of {sent.topic}, which has "
                f"{counts[sent.topic]}"
            )
        timestamp = sent.timestamp
        if timestamp is None:
            times = [event.event_time for event in read([sent])]
            timestamp = max([*times, before + _APART_SECONDS])
        before = timestamp
        given.append(replace(sent, partition=partition, timestamp=timestamp))
    return given


def events_of(usecase: UseCase, records: Sequence[Sent]) -> list[Event]:
    """The events of the records that are some, in the same order."""
    return _Reader(usecase)(records)


class _Reader:
    """Decodes records as the worker does, and believes every time."""

    def __init__(self, usecase: UseCase) -> None:
        self._decode = UndeliveredRecords(usecase, times=_ANY_TIME)

    def __call__(self, records: Sequence[Sent]) -> list[Event]:
        items = self._decode([sent.log_record for sent in records])
        return [each.event for each in items if each.failure is None and not each.is_skipped]
