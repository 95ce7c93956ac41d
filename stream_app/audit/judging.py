"""What records ask for, by the code that the worker itself decodes them with."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import Message

from features.order import rank
from features.usecase import UseCase
from stream_app.audit.ledger import Kind, Ledger
from stream_app.audit.places import Place
from stream_app.audit.reading import place_of
from stream_app.decode import DecodeStage
from stream_app.origins import replayed_origin
from stream_app.record_clock import RecordClock
from stream_app.records import Item, Partition, Record
from stream_app.settings import Settings

__all__ = ["Judge"]

_TIMELESS = 0


class Judge:
    """Decodes records of the event topics."""

    def __init__(self, settings: Settings, usecase: UseCase) -> None:
        self._decode = DecodeStage(
            {topic.name: topic.decoder for topic in usecase.topics},
            usecase.times,
            max_value_bytes=settings.max_value_bytes,
            on_unknown_fields=lambda _topic, _count: None,
        )
        self._clock = RecordClock(settings.clock_ahead_seconds)
        self._triggers = usecase.features.triggers
        self._positions = {topic.name: at for at, topic in enumerate(usecase.topics)}
        self._partitions: dict[Place, Partition] = {}

    def decode(self, messages: Sequence[Message]) -> list[Item]:
        """Each record as an item, an event or a failure, in the same order."""
        records = [self._record(message) for message in messages]
        self._clock(records)
        return self._decode(records)

    def book(self, messages: Sequence[Message], ledgers: dict[Place, Ledger]) -> None:
        """Note in the ledgers what records there are, and what each asks for."""
        entries: dict[Place, tuple[list[int], list[int], list[int]]] = {}
        for item, message in zip(self.decode(messages), messages, strict=True):
            place = place_of(message)
            offsets, kinds, seconds = entries.setdefault(place, ([], [], []))
            kind = Kind.RECORD
            if item.failure is not None:
                kind |= Kind.INVALID
            elif type(item.event) in self._triggers:
                kind |= Kind.ASKS
            headers = message.headers()
            if headers and replayed_origin(dict(headers)) is not None:
                kind |= Kind.REPLAY
            offsets.append(item.offset)
            kinds.append(kind)
            timestamp = item.record.timestamp
            seconds.append(_TIMELESS if timestamp is None else _whole(timestamp))
        for place, (offsets, kinds, seconds) in entries.items():
            ledgers[place].records(offsets, kinds, seconds)

    def _record(self, message: Message) -> Record:
        place = place_of(message)
        partition = self._partitions.get(place)
        if partition is None:
            number = rank(self._positions[place.topic], place.partition)
            partition = self._partitions[place] = Partition(*place, number)
        return Record.of(partition, message)


def _whole(seconds: float) -> int:
    """Seconds as 32 bits hold them; never 0, which stands for none."""
    return min(max(1, int(seconds)), 2**32 - 1)
