"""What records ask for, by the code that the worker itself decodes them with."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields

from confluent_kafka import Message

from stream_app.audit.identities import NO_EVENT, Identity, bytes_digest, event_digest
from stream_app.audit.ledger import Kind, Ledger
from stream_app.audit.reading import partition_id_of
from stream_app.config.settings import Settings
from stream_app.features.usecase import TimeBounds, UseCase
from stream_app.observer.observer import Observer
from stream_app.predictor.assembly import decode_stage
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId
from stream_app.records.record import Record
from stream_app.records.record_id import RecordId
from stream_app.text.moments import to_microseconds
from stream_app.wire.replays import Replays, says_replay

__all__ = ["Judge"]

_TIMELESS = 0
_HEADERS_BYTES = 16 * 2**20
"""Of records with headers, so much is decoded at once."""


class _WideBounds(TimeBounds):
    """The times that a worker may have believed, whatever its clock was when it read a record.

    Where a record's timestamp is ahead of the worker's clock by more than `clock_ahead_seconds`, the
    worker uses its clock instead. Nobody knows later what the clock showed: it was behind the
    timestamp, at most by as much as the brokers let timestamps be ahead. So an event time that is
    too early for the timestamp may have been believed.
    """

    allowed_ahead_seconds: float
    now: float

    @classmethod
    def of(cls, times: TimeBounds, allowed_ahead_seconds: float) -> _WideBounds:
        """The bounds of a use case, widened."""
        wide = cls(**{each.name: getattr(times, each.name) for each in fields(TimeBounds)})
        object.__setattr__(wide, "allowed_ahead_seconds", allowed_ahead_seconds)
        object.__setattr__(wide, "now", time.time())
        return wide

    def range_at(self, clock: float) -> tuple[float, float]:
        """Lowest and highest time that may have been believed of a record with this timestamp."""
        low, high = super().range_at(clock)
        if self.earliest is None:
            low = -math.inf if clock > self.now else low - self.allowed_ahead_seconds
        return low, high


class Judge:
    """Decodes records of the event topics."""

    def __init__(self, settings: Settings, usecase: UseCase, allowed_ahead_seconds: float) -> None:
        """`allowed_ahead_seconds`: how far ahead brokers let the timestamps of records be."""
        self.times: TimeBounds = _WideBounds.of(usecase.times, allowed_ahead_seconds)
        """Times that may have been believed."""
        self.replays = Replays(settings.application or usecase.name, settings.replay_secret)
        self.unbelieved_replays = 0
        """Records booked that call themselves replays and are none."""
        self.replayed: Counter[RecordId] = Counter()
        """How often each event was booked as a replay."""
        self._decode = decode_stage(settings, usecase, Observer(), times=self.times)
        self._triggers = usecase.features.triggers
        self._topics = [topic.name for topic in usecase.topics]
        self._partitions: dict[PartitionId, Partition] = {}

    def decode(self, messages: list[Message]) -> list[Item]:
        """Each record as an item, an event or a failure, in the same order; empties the list.

        A message keeps its headers once it was asked for them, and a record may have a thousand: they
        are let go of as soon as it is decoded. Raises `ServiceAwayError` where a decoder does.
        """
        items: list[Item] = []
        records: list[Record] = []
        held_bytes = 0
        messages.reverse()
        while messages:
            record = self._record(messages.pop())
            records.append(record)
            held_bytes += record.size if record.headers else 0
            if held_bytes > _HEADERS_BYTES or not messages:
                items += self._items(records)
                records, held_bytes = [], 0
        return items

    def _items(self, records: Sequence[Record]) -> list[Item]:
        items = self._decode(records)
        for item in items:
            record = item.record
            if record.headers:
                replay = self.replays(record.key, record.value, record.headers)
                self.unbelieved_replays += replay is None and says_replay(record.headers)
                if replay is not None:
                    item.first_origin, item.applied_before = replay
                record.headers = ()
        return items

    def book(self, messages: list[Message], ledgers: dict[PartitionId, Ledger]) -> None:
        """Note in the ledgers what records there are, and what each asks for; empties the list."""
        entries: dict[PartitionId, tuple[list[int], list[int], list[int], list[Identity]]] = {}
        for item in self.decode(messages):
            record = item.record
            partition_id = PartitionId(record.partition.topic, record.partition.number)
            offsets, kinds, seconds, identities = entries.setdefault(partition_id, ([], [], [], []))
            kind, event = Kind.RECORD, NO_EVENT
            if item.failure is not None:
                kind |= Kind.INVALID
            elif type(item.event) in self._triggers:
                kind |= Kind.ASKS
                happened = to_microseconds(item.event.event_time)
                event = event_digest(item.event.event_id, happened, item.first_origin)
            if item.first_origin is not None:
                kind |= Kind.REPLAY
                self.replayed[item.first_origin] += 1
            offsets.append(item.offset)
            kinds.append(kind)
            seconds.append(_TIMELESS if record.timestamp is None else _whole(record.timestamp))
            identities.append(Identity(bytes_digest(record.key), bytes_digest(record.value), event))
        for partition_id, (offsets, kinds, seconds, identities) in entries.items():
            ledgers[partition_id].records(offsets, kinds, seconds)
            ledgers[partition_id].identities(offsets, identities)

    def _record(self, message: Message) -> Record:
        partition_id = partition_id_of(message)
        partition = self._partitions.get(partition_id)
        if partition is None:
            partition = self._partitions[partition_id] = Partition.among(self._topics, partition_id)
        return Record.of(partition, message)


def _whole(seconds: float) -> int:
    """Seconds as 32 bits hold them; never 0, which stands for none."""
    return min(max(1, int(seconds)), 2**32 - 1)
