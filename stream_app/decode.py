"""Stage decode: the bytes of records to events, or to reasons why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from features.events import REASONS, Decoder, Event, InvalidEventError
from features.usecase import TimeBounds
from stream_app.records import Failure, Item, Record
from stream_app.replays import Replays

__all__ = ["Decode", "DecodeStage"]

#: Records to items, in the same order.
Decode = Callable[[Sequence[Record]], list[Item]]

_NO_EVENT = "the decoder gave something that is no features.events.Event"


class DecodeStage:
    """Decodes and validates each record by the decoder of its topic."""

    def __init__(
        self,
        decoders: Mapping[str, Decoder],
        times: TimeBounds,
        *,
        max_value_bytes: int,
        on_unknown_fields: Callable[[str, int], None],
        replays: Replays | None = None,
    ) -> None:
        """`replays`: which records are believed to be replays; without it none is."""
        self._decoders = decoders
        self._replays = replays or Replays("")
        self._times = times
        self._max_value_bytes = max_value_bytes
        self._on_unknown_fields = on_unknown_fields
        self._events: set[type[Event]] = set()

    def __call__(self, records: Sequence[Record]) -> list[Item]:
        """An item for each record, in the same order."""
        unknown: dict[str, int] = {}
        items = []
        decoders, known, limit = self._decoders, self._events, self._max_value_bytes
        low, high = self._believed_of_all(records)
        for record in records:
            value = record.value
            topic = record.partition.topic
            event: Event | None = None
            failure: Failure | None = None
            if value and len(value) <= limit:
                try:
                    event = decoders[topic](value)
                except Exception as error:  # noqa: BLE001 - a use case's decoder may raise anything
                    failure = _refused(error)
                else:
                    if type(event) not in known or not low <= event.event_time <= high:
                        failure = self._doubt(event, record)
            else:
                failure = self._no_value(value)
            item = Item(record, event)
            items.append(item)
            if failure is not None:
                item.event, item.failure = None, failure  # type: ignore[assignment]
                continue
            if event.__pydantic_extra__:  # type: ignore[union-attr]
                extra = len(event.__pydantic_extra__)  # type: ignore[union-attr]
                unknown[topic] = unknown.get(topic, 0) + extra
            if record.headers:
                self._note_replay(item)
        for topic, count in unknown.items():
            self._on_unknown_fields(topic, count)
        return items

    def _note_replay(self, item: Item) -> None:
        record = item.record
        replay = self._replays(record.key, record.value, record.headers)
        if replay is not None:
            item.first_origin, item.applied_before = replay

    def _believed_of_all(self, records: Sequence[Record]) -> tuple[float, float]:
        """A range of times that lies in the range of each record."""
        known_at = [record.known_at for record in records]
        if not known_at:
            return 0.0, 0.0
        return self._times.range_at(max(known_at))[0], self._times.range_at(min(known_at))[1]

    def _doubt(self, event: object, record: Record) -> Failure | None:
        """Why what a decoder gave cannot be believed, or None if it can."""
        # pydantic's isinstance costs as much as validating a field: once a type is enough.
        if not isinstance(event, Event):
            return Failure("decode", "decoder-error", _NO_EVENT, disposition="bug")
        self._events.add(type(event))
        low, high = self._times.range_at(record.known_at)
        return None if low <= event.event_time <= high else out_of_range("event_time")

    def _no_value(self, value: bytes | None) -> Failure:
        if value is None:
            reason = "tombstone"
        elif not value:
            reason = "empty-value"
        else:
            limit = self._max_value_bytes
            message = f"the value has {len(value)} bytes, max_value_bytes is {limit}"
            return Failure("decode", "value-too-large", message)
        return Failure("decode", reason, REASONS[reason])


def _refused(error: Exception) -> Failure:
    """The failure of a record that its decoder did not take."""
    if isinstance(error, InvalidEventError):
        return Failure("decode", error.reason, str(error), error.field)
    # The text of a foreign exception may quote the payload; its type does not.
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    return Failure("decode", "decoder-error", name, disposition="bug")


def out_of_range(field: str) -> Failure:
    """The failure of a record with a time that cannot be believed."""
    return Failure("decode", "time-out-of-range", REASONS["time-out-of-range"], field)
