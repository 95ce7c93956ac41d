"""The year's log as training reads it: the records that the demo's producer sends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from features.flights.data.year import records
from stream_app import LogRecord

__all__ = ["YearLog"]


class YearLog(Iterable[LogRecord]):
    """The records from a day of 2013 on; it can be read more than once."""

    def __init__(self, start: date = date(2013, 1, 1), count: int | None = None) -> None:
        """`count`: at most so many records."""
        self._start = start
        self._count = count

    def __iter__(self) -> Iterator[LogRecord]:
        """In the order in which they become known."""
        for record in records(self._start, self._count):
            yield LogRecord(record.value, record.key, timestamp=record.known_at, topic=record.topic)
