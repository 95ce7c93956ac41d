"""From the records of a log to events in the order in which serving takes them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from stream_app.errors import ServiceAwayError
from stream_app.features.engine.order import OrderKey, PartitionOrder, rank
from stream_app.features.engine.replay import LoggedEvent
from stream_app.features.events import Decoder, Event, InvalidEventError, LogRecord
from stream_app.features.usecase import UseCase
from stream_app.text.causes import cause_of
from stream_app.text.moments import in_utc
from stream_app.training.errors import LogError

__all__ = ["Decoded", "Known", "OutOfOrderError"]


class OutOfOrderError(LogError):
    """A record comes after one that serving would take later."""


class Known(NamedTuple):
    """An event that became known, with the record it came in."""

    order: OrderKey
    event: Event
    record: LogRecord

    def logged(self) -> LoggedEvent:
        """As the replay takes it."""
        return LoggedEvent(self.event, self.order[2], self.order[3])


@dataclass
class Decoded:
    """A log's records as events; counts what is none, as serving would dead-letter or skip it."""

    usecase: UseCase
    log: Iterable[LogRecord]
    events: Counter[str] = field(default_factory=Counter)
    """Records by the name of their event type."""
    skipped: int = 0
    """Records that their decoder left out."""
    refused: Counter[str] = field(default_factory=Counter)
    """Records that are no events, by reason."""
    examples: dict[str, str] = field(default_factory=dict)
    """The first of each reason, with what was wrong."""

    def in_order(self) -> Iterator[Known]:
        """The events of a log that is in order; raises `OutOfOrderError` at the first that is not."""
        newest: OrderKey = (-math.inf, -math.inf, -1, -1)
        for known in self.as_written():
            if known.order < newest:
                raise OutOfOrderError(
                    f"the log is not in order: the {known.record.topic} record of "
                    f"{in_utc(known.order[0])} comes after one of {in_utc(newest[0])}, and a log "
                    "that is read once cannot be sorted: pass a list, or read_log(...)."
                )
            newest = known.order
            yield known

    def sorted(self) -> list[Known]:
        """The events of any log, in order; all of them are held in memory."""
        return sorted(self.as_written(), key=lambda known: known.order)

    def as_written(self) -> Iterator[Known]:
        """The events in the order of the log's records; counts begin anew."""
        self.events, self.skipped, self.refused, self.examples = Counter(), 0, Counter(), {}
        topics = {topic.name: at for at, topic in enumerate(self.usecase.topics)}
        decoders = {topic.name: topic.decoder for topic in self.usecase.topics}
        orders: dict[tuple[str, int], PartitionOrder] = {}
        offsets: Counter[tuple[str, int]] = Counter()
        for number, record in enumerate(self.log, start=1):
            if record.topic not in topics:
                names = ", ".join(topics)
                raise LogError(
                    f"record {number} of the log is of the topic {record.topic}, which is none of "
                    f"the use case's: {names}."
                )
            place = record.topic, record.partition
            offset = offsets[place]
            offsets[place] += 1
            event = self._event(decoders[record.topic], record, number)
            if event is None:
                continue
            self.events[type(event).__name__] += 1
            known_at = event.event_time if record.timestamp is None else record.timestamp
            order = orders.get(place)
            if order is None:
                order = orders[place] = PartitionOrder(rank(topics[record.topic], record.partition))
            yield Known(order.key(known_at, event.event_time, offset), event, record)

    def _event(self, decoder: Decoder, record: LogRecord, number: int) -> Event | None:
        if not record.value and not (
            record.value is None and getattr(decoder, "takes_tombstones", False)
        ):
            reason = "tombstone" if record.value is None else "empty-value"
            self._refuse(reason, f"record {number} ({record.topic})")
            return None
        try:
            event: Event | None = decoder(record)
        except InvalidEventError as error:
            self._refuse(error.reason, f"record {number} ({record.topic}): {error}")
            return None
        except ServiceAwayError:
            raise
        except Exception as error:  # noqa: BLE001 - a use case's decoder may raise anything
            why = f"record {number} ({record.topic}): {cause_of(error)}"
            self._refuse("decoder-error", why)
            return None
        if event is None:
            self.skipped += 1
            return None
        if record.timestamp is not None or self.usecase.times.earliest is not None:
            clock = event.event_time if record.timestamp is None else record.timestamp
            low, high = self.usecase.times.range_at(clock)
            if not low <= event.event_time <= high:
                why = (
                    f"record {number} ({record.topic}): {in_utc(event.event_time)} is not believed"
                )
                self._refuse("time-out-of-range", why)
                return None
        return event

    def _refuse(self, reason: str, example: str) -> None:
        self.refused[reason] += 1
        self.examples.setdefault(reason, example)
