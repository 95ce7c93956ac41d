"""A record on its way through the stages, and the answer that a model gave for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from stream_app.features.engine.arrival import NEVER, Arrival
from stream_app.features.events import Event
from stream_app.records.failure import Failure
from stream_app.records.record import Record
from stream_app.records.record_id import RecordId

__all__ = ["Item", "Served"]

_APPLIED_BEFORE: Final = frozenset({"score", "publish"})
"""Stages whose records have updated the state."""


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
        "traceparent",
    )

    def __init__(
        self, record: Record, event: Event | None, event_time: float | None = None
    ) -> None:
        """`event_time`: that of the event, from whoever knows it already."""
        # As `Arrival` sets them, without the call: one is made of every record.
        # A record that is no event carries None, and a failure unless it is skipped; no stage after
        # decode looks at it.
        self.event = event  # type: ignore[assignment]
        if event_time is None:
            event_time = NEVER if event is None else event.event_time
        self.event_time = event_time
        self.source = 0  # until it is enriched
        self.rank = record.partition.rank
        self.offset = record.offset
        self.keys = self.updates = ()
        self.row = self.error = None
        self.newest = NEVER
        self.ahead = self.redelivered = False
        self.digest = 0
        self.record = record
        self.first_origin: RecordId | None = None
        """Of a replayed record: the record it was at first."""
        self.applied_before = False
        """Whether that one had updated the state, so that this one must not."""
        self.failure: Failure | None = None
        self.degraded: str | None = None
        """Why the models tried so far could not serve it."""
        self.served: Served | None = None
        self.traceparent: bytes | None = None
        """What the records out have for a header `traceparent` in place of the event's; None: the same."""

    def anew(self) -> Item:
        """The record as it came from decode, for a batch that is made again."""
        item = Item(self.record, self.event, self.event_time)
        if self.event is None:
            item.failure = self.failure
        item.first_origin, item.applied_before = self.first_origin, self.applied_before
        return item

    @property
    def is_skipped(self) -> bool:
        """Whether its decoder said that it is none of the use case's."""
        return self.event is None and self.failure is None

    @property
    def is_applied(self) -> bool:
        """Whether its batch applies its updates to the state, failed or not (`dead-letter.state`)."""
        if self.event is None:
            return False
        return self.failure is None or self.failure.stage in _APPLIED_BEFORE
