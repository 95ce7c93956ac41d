"""When a record became known: its timestamp, unless that cannot be."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from stream_app.records import Record

__all__ = ["RecordClock"]


class RecordClock:
    """Dates records when they arrive: one bad timestamp must not hold its partition back for ever."""

    def __init__(
        self,
        ahead_seconds: float,
        *,
        on_corrected: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """A timestamp that is absent, or later than the clock by `ahead_seconds`, counts as now."""
        self._ahead = ahead_seconds
        self._on_corrected = on_corrected
        self._clock = clock

    def __call__(self, records: Iterable[Record]) -> None:
        """Set `known_at` of records."""
        now = self._clock()
        latest = now + self._ahead
        corrected = 0
        for record in records:
            if record.known_at > latest:
                record.known_at = now
                corrected += 1
        if corrected:
            self._on_corrected(corrected)
