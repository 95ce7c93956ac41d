"""Stage decode: the bytes of records to events, or to reasons why not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from features.events import REASONS, Decoder, InvalidEventError
from features.usecase import TimeBounds
from stream_app.records import Failure, Item, Record

__all__ = ["DecodeStage"]


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
            value = record.value
            if not value or len(value) > self._max_value_bytes:
                items.append(_failed(record, known_at, self._no_value(value)))
                continue
            topic = record.partition.topic
            try:
                event = self._decoders[topic](value)
            except InvalidEventError as error:
                failure = Failure("decode", error.reason, str(error), error.field)
                items.append(_failed(record, known_at, failure))
                continue
            except Exception as error:  # noqa: BLE001 - a use case's decoder may raise anything
                failure = Failure("decode", "decoder-error", _name(error), disposition="bug")
                items.append(_failed(record, known_at, failure))
                continue
            low, high = self._times.range_at(known_at)
            if not low <= event.event_time <= high:
                items.append(_failed(record, known_at, out_of_range("event_time")))
                continue
            if event.__pydantic_extra__:
                unknown[topic] = unknown.get(topic, 0) + len(event.__pydantic_extra__)
            items.append(Item(record, event, known_at))
        for topic, count in unknown.items():
            self._on_unknown_fields(topic, count)
        if corrected:
            self._on_clock_corrected(corrected)
        return items

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


def _failed(record: Record, known_at: float, failure: Failure) -> Item:
    item = Item(record, None, known_at)
    item.failure = failure
    return item


def _name(error: Exception) -> str:
    # The text of a foreign exception may quote the payload; its type does not.
    return f"{type(error).__module__}.{type(error).__qualname__}"
