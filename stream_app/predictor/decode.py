"""Stage decode: the bytes of records to events, or to reasons why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from stream_app.errors import RefusedError, ServiceAwayError
from stream_app.features.events import Decoder, Event, InvalidEventError
from stream_app.features.usecase import TimeBounds
from stream_app.observer.events import FirstSkipped, UnbelievedReplays, UnknownFields
from stream_app.observer.observer import Observer
from stream_app.predictor.lateness import believed_of_all, out_of_range
from stream_app.records.failure import Failure
from stream_app.records.item import Item
from stream_app.records.record import Record
from stream_app.text.causes import cause_of, is_ours, unless_told_to_end
from stream_app.text.exception_texts import UNTOLD, ExceptionTexts
from stream_app.text.foreign import bounded
from stream_app.text.redaction import Redaction
from stream_app.waiting.retry import Retry
from stream_app.wire.reasons import REASONS
from stream_app.wire.replays import Replays, says_replay

__all__ = ["Decode", "DecodeStage"]

#: Records to items, in the same order.
Decode = Callable[[Sequence[Record]], list[Item]]


_NOTHING: Final = object()
"""Stands for the event until there is one: a decoder may give anything, None too."""


class _Raised(NamedTuple):
    """What a decoder raised when a service that was away had come back."""

    error: BaseException


class DecodeStage:
    """Decodes and validates each record by the decoder of its topic."""

    def __init__(
        self,
        decoders: Mapping[str, Decoder],
        times: TimeBounds,
        *,
        max_value_bytes: int,
        observer: Observer,
        replays: Replays | None = None,
        retry: Retry | None = None,
        texts: ExceptionTexts = UNTOLD,
        redaction: Redaction | None = None,
    ) -> None:
        """`replays`: which records are believed to be replays; without it none is. `retry` waits for a
        service that a decoder asks; without it `ServiceAwayError` is raised. `texts`: whether a
        failure tells texts that may quote the record; `redaction`: what must not be told, so that a
        failure withholds even what a decoder of the use case's own says of a record that it refuses."""
        self._redaction = redaction or None
        self._decoders = decoders
        self._texts = texts
        self._take_tombstones = {
            topic
            for topic, decoder in decoders.items()
            if getattr(decoder, "takes_tombstones", False)
        }
        self._retry = retry
        self._replays = replays or Replays("")
        self._times = times
        self._max_value_bytes = max_value_bytes
        self._observer = observer
        self._events: set[type[Event]] = set()
        self._skipped: set[str] = set()
        """Topics of which a record was skipped."""

    def __call__(self, records: Sequence[Record]) -> list[Item]:
        """An item for each record, in the same order.

        Waits while a service that a decoder asks is away; then raises what `Retry` raises.
        """
        unknown: dict[str, int] = {}
        unbelieved = 0
        items = []
        decoders, known, limit = self._decoders, self._events, self._max_value_bytes
        low, high = believed_of_all(self._times, records)
        for record in records:
            value = record.value
            topic = record.partition.topic
            event: Any = _NOTHING
            event_time: float | None = None
            failure = record.refusal
            if failure is None and value and len(value) <= limit:
                try:
                    event = decoders[topic](record)
                    if type(event) in known:
                        event_time = event.event_time
                    if (
                        event_time is None
                        or not low <= event_time <= high
                        or not event.event_id.isascii()
                    ):
                        failure = self._doubt(event, record)
                    if event is not None and event.__pydantic_extra__:
                        unknown[topic] = unknown.get(topic, 0) + len(event.__pydantic_extra__)
                except BaseException as error:  # noqa: BLE001 - a use case's decoder may raise anything
                    unless_told_to_end(error)
                    event, failure = self._raised(error, event, record)
            elif failure is None:
                event, failure = self._without_event_value(record)
            if failure is not None:
                event = None
            item = Item(record, event, event_time)
            item.failure = failure
            items.append(item)
            if record.headers and says_replay(record.headers):  # one that is refused is one, too
                unbelieved += not self._note_replay(item)
        self._tell(unknown, unbelieved)
        return items

    def _tell(self, unknown_fields: Mapping[str, int], unbelieved_replays: int) -> None:
        for topic, count in unknown_fields.items():
            self._observer.tell(UnknownFields(topic, count))
        if unbelieved_replays:
            self._observer.tell(UnbelievedReplays(unbelieved_replays))

    def _raised(
        self, error: BaseException, event: Any, record: Record
    ) -> tuple[Event | None, Failure | None]:
        """What becomes of a record for which a decoder raised, or gave what cannot be used."""
        if event is not _NOTHING:
            return None, self._unusable(event, error)
        if isinstance(error, ServiceAwayError):
            return self._when_back(error, record)
        return None, self._refused(error)

    def _when_back(
        self, away: ServiceAwayError, record: Record
    ) -> tuple[Event | None, Failure | None]:
        """What becomes of a record once the service that its decoder asks is back."""
        decoder = self._decoders[record.topic]

        def ask() -> Event | _Raised | None:
            try:
                return decoder(record)
            except ServiceAwayError as error:
                raise self._named(error) from error
            except BaseException as error:  # noqa: BLE001 - told apart from what `Retry` raises
                return _Raised(error)

        if self._retry is None:
            raise self._named(away) from away
        answer = self._retry(self._named(away).service, ask)
        if isinstance(answer, _Raised):
            return None, self._refused(answer.error)
        return self._believed(answer, record)

    def _believed(self, event: Any, record: Record) -> tuple[Event | None, Failure | None]:
        """An event if it can be believed, else why not."""
        try:
            return event, self._doubt(event, record)
        except BaseException as error:  # noqa: BLE001 - a property of the use case's own may raise
            unless_told_to_end(error)
            return None, self._unusable(event, error)

    def _without_event_value(self, record: Record) -> tuple[Event | None, Failure | None]:
        """What becomes of a record without a value, or with one that is too large."""
        if record.value is not None or record.topic not in self._take_tombstones:
            return None, self._no_value(record.value)
        try:
            event = self._decoders[record.topic](record)
        except BaseException as error:  # noqa: BLE001 - a use case's decoder may raise anything
            unless_told_to_end(error)
            return self._raised(error, _NOTHING, record)
        return self._believed(event, record)

    def _note_replay(self, item: Item) -> bool:
        """Note which record it was at first; return whether it is believed to be a replay."""
        record = item.record
        replay = self._replays(record.key, record.value, record.headers)
        if replay is None:
            return False
        item.first_origin, item.applied_before = replay
        return True

    def _doubt(self, event: Event | None, record: Record) -> Failure | None:
        """Why what a decoder gave cannot be believed, or None if it can; raises like `_unusable`."""
        if event is None:
            if record.topic not in self._skipped:
                self._skipped.add(record.topic)
                self._observer.tell(FirstSkipped(record.partition, record.offset))
            return None
        # pydantic's isinstance costs as much as validating a field: once a type is enough.
        if type(event) not in self._events:
            if not isinstance(event, Event):
                raise TypeError("not an event")
            self._events.add(type(event))
        if not isinstance(event.event_time, float | int):
            raise TypeError("not a time")
        event.event_id.encode()
        return out_of_range("decode", "event_time", event.event_time, record, self._times)

    def _no_value(self, value: bytes | None) -> Failure:
        if value is None:
            reason = "tombstone"
        elif not value:
            reason = "empty-value"
        else:
            limit = self._max_value_bytes
            message = f"the value has {len(value)} bytes, max_value_bytes is {limit}"
            return Failure("decode", "value-too-large", message)
        return Failure("decode", reason, REASONS[reason].meaning)

    def _refused(self, error: BaseException) -> Failure:
        """The failure of a record that its decoder did not take."""
        if isinstance(error, InvalidEventError):
            # A class derived from it may say nothing, and may not bound its texts as it does.
            try:
                field = None if error.field is None else bounded(str(error.field))
                message = bounded(str(error), 500)
                if self._redaction is not None:
                    if not is_ours(error):
                        message = f"the decoder refuses it: {cause_of(error)}"
                    elif field is not None and (told := self._redaction.told(field)) != field:
                        message = f"field {told}: {message.removeprefix(f'field {field}: ')}"
                    field = field and self._redaction.told(field)
                message = self._texts.quoting(message, getattr(error, "quoting", ""))
                return Failure("decode", bounded(str(error.reason)), message, field)
            except BaseException:  # noqa: BLE001, S110 - told below; `suppress` takes as long as all else
                pass
        told = self._texts.after(f"the decoder: {cause_of(error)}", error)
        return Failure("decode", "decoder-error", told, disposition="bug")

    def _unusable(self, event: object, error: BaseException) -> Failure:
        """The failure of a record whose decoder returned something that cannot be used as an event."""
        if not isinstance(event, Event):
            kind = bounded(type(event).__qualname__)
            message = f"the decoder gave an object of type {kind}, which is no stream_app.Event"
            return Failure("decode", "not-an-event", message, disposition="bug")
        for field, kinds in (("event_id", str), ("event_time", (float, int))):
            try:
                value = getattr(event, field, None)
            except Exception:  # noqa: BLE001 - a property of the use case's own
                value = None
            if not isinstance(value, kinds):
                kind = "None" if value is None else f"a {bounded(type(value).__qualname__)}"
                message = f"the decoder gave an event whose {field} is {kind}"
                return Failure("decode", "invalid-event", message, field, disposition="bug")
        if isinstance(error, UnicodeEncodeError):
            message = "the decoder gave an event whose event_id holds a lone surrogate"
            return Failure("decode", "invalid-event", message, "event_id", disposition="bug")
        message = f"the decoder gave an event that cannot be used: {cause_of(error)}"
        return Failure(
            "decode", "invalid-event", self._texts.after(message, error), disposition="bug"
        )

    def _named(self, away: ServiceAwayError) -> ServiceAwayError:
        """An absence in bounded words; a class of the use case's own may be derived from it."""
        kind = RefusedError if isinstance(away, RefusedError) else ServiceAwayError
        if self._redaction is not None and not is_ours(away):
            return kind("a decoder's service", f"the decoder raised {cause_of(away)}")
        try:
            return kind(bounded(str(away.service)), bounded(str(away), 500))
        except Exception:  # noqa: BLE001 - it says nothing
            return kind("a decoder's service", "the decoder does not say why")
