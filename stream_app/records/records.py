"""What travels through the worker: partitions, records, chunks, items and batches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import methodcaller
from typing import Any, Final, NamedTuple

from stream_app.features.engine.engine import NEVER, Arrival
from stream_app.features.events import Event
from stream_app.features.stores import Source, StateWrite
from stream_app.records.leader_epochs import LeaderEpochs
from stream_app.records.record_id import Origin
from stream_app.records.start_count import StartCount

__all__ = [
    "Batch",
    "Chunk",
    "Failure",
    "Header",
    "Headers",
    "Item",
    "Outgoing",
    "Partition",
    "Record",
    "Served",
    "read_headers",
]

#: The headers of a message. Not `message.headers()`: where a name is not UTF-8 the library leaves an
#: exception behind a result, and Python 3.11 stops checking that after some calls from one line.
read_headers: Final = methodcaller("headers")

#: A record's header; its value may be absent.
Header = tuple[str, str | bytes | None]

#: Record headers in order.
Headers = list[Header]

MOST_HEADERS: Final = 1_024
"""Of a record; one with more is not taken: a megabyte of tiny headers makes objects of a hundred."""
HEADER_OVERHEAD_BYTES: Final = 160
"""What a held header takes besides the bytes of its name and value."""
UNREADABLE: Final = "unreadable-header"
"""Stands for a header's name that is not UTF-8."""


class Partition:
    """An assigned partition, under the one assignment that gave it to us.

    Assigned again, the same partition is another object: work done under an old assignment can
    never be committed under a new one.
    """

    __slots__ = (
        "ahead_until", "applied", "ended", "epochs", "is_new", "log_end", "log_start", "markers",
        "number", "rank", "revoked", "set_by_hand", "source", "source_id", "start", "starts",
        "topic",
    )  # fmt: skip

    def __init__(self, topic: str, number: int, rank: int) -> None:
        self.topic = topic
        self.number = number
        self.rank = rank
        """Place in the use case's order of partitions, see `stream_app.features.engine.order.rank`."""
        self.source: Source | None = None
        """Cluster, topic id and number; known once the broker was asked."""
        self.source_id = 0
        """The small integer its fences are kept under; 0 until registered."""
        self.revoked = False
        """Whether it is being given away: nothing more of it begins its way."""
        self.ended = False
        """Whether the assignment has ended: nothing more of it may be committed."""
        self.start = 0
        """Offset it is read from."""
        self.markers = (0, 0)
        """From the first of these offsets to before the second there are no records, but markers of
        transactions: the last such place that an offset behind was committed for."""
        self.log_start = 0
        """First offset the log held when it was assigned."""
        self.log_end = 0
        """Offset after the last one the log held then."""
        self.epochs = LeaderEpochs()
        """Under which leaders its records were written."""
        self.starts = StartCount()
        """How often it was begun without getting anywhere."""
        self.set_by_hand = False
        """Whether somebody other than a worker committed the offset it is read from."""
        self.is_new = False
        """Whether the group had committed nothing of it when it was assigned."""
        self.applied = -1
        """Offset through which the state held its records when it was assigned."""
        self.ahead_until = 0
        """Records before this offset may be in the state that they read, or later ones: of a previous
        owner, who may write what it had in hand after the assignment."""

    @property
    def topic_id(self) -> str:
        """Id of the topic, as Kafka's tools print it; empty until the broker was asked."""
        return self.source.topic_id if self.source is not None else ""

    def __repr__(self) -> str:
        """Name the partition as operators do."""
        return f"{self.topic}[{self.number}]"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record leaves the path before its end. Failure is data."""

    stage: str
    reason: str
    message: str
    field: str | None = None
    disposition: str = "poison"
    """`poison`: the record's fault; `bug`: ours or the use case's."""


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

    @classmethod
    def of(cls, partition: Partition, message: Any) -> Record:
        """The record that a message of confluent-kafka's consumer carries."""
        kind, milliseconds = message.timestamp()
        timestamp = milliseconds / 1_000.0 if kind else None
        headers: Sequence[Header] | None
        try:
            headers, refusal = read_headers(message), None
            if headers is not None and len(headers) > MOST_HEADERS:
                headers, refusal = _first(message, headers)
        except Exception:  # noqa: BLE001 - a SystemError where a header's name is not UTF-8
            headers, refusal = _salvaged(message)
        return cls(
            partition, message.offset(), timestamp, message.key(), message.value(), headers, refusal
        )


@dataclass(slots=True)
class Chunk:
    """What one poll brought, in the order librdkafka gave it."""

    records: list[Record] = field(default_factory=list)
    assigned: list[Partition] = field(default_factory=list)
    revoked: list[Partition] = field(default_factory=list)
    ended: list[Partition] = field(default_factory=list)
    """Partitions at whose end nothing was left when the poll returned."""
    seen_at: float = float("-inf")
    """All that the brokers had delivered at this time is in this chunk or in those before it;
    seconds since the epoch."""


def size_of(headers: Sequence[Header]) -> int:
    """Bytes that headers take in memory."""
    return HEADER_OVERHEAD_BYTES * len(headers) + sum(
        [len(name) + (0 if value is None else len(value)) for name, value in headers]
    )


def _first(message: Any, headers: Sequence[Header]) -> tuple[Sequence[Header], Failure]:
    """The first of very many headers; the message lets go of the others."""
    message.set_headers(None)
    told = f"the record has {len(headers)} headers; the first {MOST_HEADERS} are kept here"
    return headers[:MOST_HEADERS], Failure("decode", "too-many-headers", told)


def _salvaged(message: Any) -> tuple[Sequence[Header], Failure]:
    """What can be kept of headers that the library fails to read.

    After it has failed once it gives a list that holds no object for each name that is not UTF-8
    (seen: 2.16). Taking such a name out ends the process; showing it does not.
    """
    kept: list[Header] = []
    lost = 0
    with suppress(Exception):
        for header in (read_headers(message) or ())[:MOST_HEADERS]:
            if repr(header).startswith("(<NULL>"):
                kept.append((UNREADABLE, header[1]))
                lost += 1
            else:
                kept.append(header)
    message.set_headers(None)
    told = f"{lost} of them are kept as {UNREADABLE}" if lost else "none of them is kept"
    why = f"the name of a header is not UTF-8, so the headers cannot be read; {told}"
    return kept, Failure("decode", "invalid-headers", why)


class Served(NamedTuple):
    """A model's answer for one record."""

    fields: Mapping[str, Any]
    """The prediction's own fields, by the use case."""
    model: str
    version: str
    served_by: str
    """`champion`, or the name of the fallback."""
    degraded: str | None
    """Why it was not the champion, else None."""


class Item(Arrival):
    """A record on its way through the stages."""

    __slots__ = (
        "applied_before",
        "degraded",
        "failure",
        "first_origin",
        "record",
        "served",
    )

    def __init__(self, record: Record, event: Event | None) -> None:
        partition = record.partition
        # As `Arrival` sets them, without the call: one is made of every record.
        # A record that is no event carries None and a failure; no stage after decode looks at it.
        self.event = event  # type: ignore[assignment]
        self.source = partition.source_id
        self.rank = partition.rank
        self.offset = record.offset
        self.keys = self.updates = ()
        self.row = self.error = None
        self.newest = NEVER
        self.ahead = self.redelivered = False
        self.digest = 0
        self.record = record
        self.first_origin: Origin | None = None
        """Of a replayed record: the record it was at first."""
        self.applied_before = False
        """Whether that one had updated the state, so that this one must not."""
        self.failure: Failure | None = None
        self.degraded: str | None = None
        """Why the models tried so far could not serve it."""
        self.served: Served | None = None


@dataclass(slots=True)
class Outgoing:
    """A record to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    source: Partition | None = None
    """The partition of the record it came of."""
    item: Item | None = None
    """The record it came of."""
    kind: str = "prediction"
    """In words for a person; what is neither a prediction nor a dead letter is dropped where the brokers
    refuse it."""
    fits: bool = False
    """Whether the brokers took it when it came alone."""


@dataclass(slots=True)
class Batch:
    """Records that are scored, published, written and committed together.

    It is a prefix of each of its partitions, and batches finish in the order of their numbers.
    """

    number: int
    items: Sequence[Item]
    writes: list[StateWrite] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)
    ends: dict[Partition, int] = field(default_factory=dict)
    """For each partition, the offset of its last record in the batch."""
    applied: dict[Partition, int] = field(default_factory=dict)
    """The same for the partitions whose records update the state with this batch: all but those
    whose state is being rebuilt."""
    expected: dict[Partition, int] = field(default_factory=dict)
    """The marks that the store was known to hold when the batch was enriched."""
