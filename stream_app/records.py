"""What travels through the worker: partitions, records, chunks, items and batches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from features.engine import NEVER, Arrival
from features.events import Event
from features.stores import Source, StateWrite
from stream_app.origins import Origin
from stream_app.starts import StartCount

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
]

#: A record's header; its value may be absent.
Header = tuple[str, str | bytes | None]

#: Record headers in order.
Headers = list[Header]


class Partition:
    """An assigned partition, under the one assignment that gave it to us.

    Assigned again, the same partition is another object: work done under an old assignment can
    never be committed under a new one.
    """

    __slots__ = (
        "ahead_until", "applied", "ended", "is_new", "log_end", "log_start", "markers", "number",
        "rank", "revoked", "set_by_hand", "source", "source_id", "start", "starts", "topic",
    )  # fmt: skip

    def __init__(self, topic: str, number: int, rank: int) -> None:
        self.topic = topic
        self.number = number
        self.rank = rank
        """Place in the use case's order of partitions, see `features.order.rank`."""
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


class Record:
    """A record as it was consumed."""

    __slots__ = (
        "headers", "key", "known_at", "offset", "partition", "size", "timestamp", "value",
    )  # fmt: skip

    def __init__(
        self,
        partition: Partition,
        offset: int,
        timestamp: float | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[Header] | None = None,
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
        self.size = len(value or b"") + len(key or b"")
        """Bytes of key and value."""

    @classmethod
    def of(cls, partition: Partition, message: Any) -> Record:
        """The record that a message of confluent-kafka's consumer carries."""
        kind, milliseconds = message.timestamp()
        return cls(
            partition,
            message.offset(),
            milliseconds / 1_000.0 if kind else None,
            message.key(),
            message.value(),
            message.headers(),
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


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a record leaves the path before its end. Failure is data."""

    stage: str
    reason: str
    message: str
    field: str | None = None
    disposition: str = "poison"
    """`poison`: the record's fault; `bug`: ours or the use case's."""


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
