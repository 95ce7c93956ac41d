"""Stage decode: the bytes of records to events, or to reasons why not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from features.events import REASONS, Decoder, Event, InvalidEventError
from features.usecase import TimeBounds
from stream_app.records import Failure, Item, Record

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
        clock_ahead_seconds: float,
        clock: Callable[[], float] = time.time,
        on_unknown_fields: Callable[[str, int], None],
        on_clock_corrected: Callable[[int], None],
    ) -> None:
        """A record timestamp later than the clock by `clock_ahead_seconds` counts as now."""
        self._decoders = decoders
        self._times = times
        self._max_value_bytes = max_value_bytes
        self._clock_ahead = clock_ahead_seconds
        self._clock = clock
        self._on_unknown_fields = on_unknown_fields
        self._on_clock_corrected = on_clock_corrected

    def __call__(self, records: Sequence[Record]) -> list[Item]:
        """An item for each record, in the same order."""
        now = self._clock()
        latest = now + self._clock_ahead
        corrected = 0
        unknown: dict[str, int] = {}
        items = []
        for record in records:
            known_at = record.timestamp
            if known_at is None or known_at > latest:
                known_at = now
                corrected += 1
            event = self._event(record, known_at)
            if isinstance(event, Failure):
                item = Item(record, None, known_at)
                item.failure = event
                items.append(item)
                continue
            if event.__pydantic_extra__:
                topic = record.partition.topic
                unknown[topic] = unknown.get(topic, 0) + len(event.__pydantic_extra__)
            items.append(Item(record, event, known_at))
        for topic, count in unknown.items():
            self._on_unknown_fields(topic, count)
        if corrected:
            self._on_clock_corrected(corrected)
        return items

    def _event(self, record: Record, known_at: float) -> Event | Failure:
        value = record.value
        if not value or len(value) > self._max_value_bytes:
            return self._no_value(value)
        try:
            event = self._decoders[record.partition.topic](value)
        except InvalidEventError as error:
            return Failure("decode", error.reason, str(error), error.field)
        except Exception as error:  # noqa: BLE001 - a use case's decoder may raise anything
            return Failure("decode", "decoder-error", _name(error), disposition="bug")
        if not isinstance(event, Event):
            return Failure("decode", "decoder-error", _NO_EVENT, disposition="bug")
        low, high = self._times.range_at(known_at)
        return event if low <= event.event_time <= high else out_of_range("event_time")

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


def out_of_range(field: str) -> Failure:
    """The failure of a record with a time that cannot be believed."""
    return Failure("decode", "time-out-of-range", REASONS["time-out-of-range"], field)


def _name(error: Exception) -> str:
    # The text of a foreign exception may quote the payload; its type does not.
    return f"{type(error).__module__}.{type(error).__qualname__}"
