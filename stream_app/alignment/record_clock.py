"""When a record became known: its timestamp, unless that cannot be.

One timestamp far ahead of the worker's clock is the record's fault. When most are, it is the
clock's: to take them for now would dead-letter good events, whose times then seem to lie in the
future. Such records are not dated: the worker waits until somebody has set the clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Final

from stream_app.errors import RefusedError
from stream_app.features.usecase import TimeBounds
from stream_app.observer.events import ClockCorrected
from stream_app.observer.observer import Observer
from stream_app.records.record import Record
from stream_app.text.moments import in_utc
from stream_app.waiting.retry import Retry

__all__ = ["ClockDoubt", "RecordClock"]

_FEWEST: Final = 5
"""Records that accuse the clock, at least: one or two may be a producer's fault. Where there are
fewer yet, those before them in the log are asked."""
_RECENT_RECORDS: Final = 1_000
"""So many records before, about, are looked back on."""


class ClockDoubt:
    """Waits where the records say that the worker's clock is behind."""

    def __init__(
        self,
        times: TimeBounds,
        retry: Retry,
        before: Callable[[Sequence[Record]], Sequence[float]] = lambda _: (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`times`: what is further ahead than an event may be accuses the clock.

        `before` gives timestamps of some records that stand before these in their logs, in seconds
        since the epoch; raises `ServiceAwayError` where the brokers do not answer.
        """
        # Where times have a fixed range, no event is refused for what the clock shows.
        self._ahead = math.inf if times.latest is not None else times.ahead_seconds
        self._retry = retry
        self._before = before
        self._clock = clock
        self._records = self._accusing = 0

    def __call__(self, records: Sequence[Record], farthest: float) -> None:
        """Return when the clock may be believed; `farthest`: the latest timestamp, or infinity.

        Raises `StoppingError`, and `FatalError` where nobody sets the clock for a while.
        """
        ahead = 0
        if farthest > self._clock() + self._ahead:
            self._retry("kafka", lambda: self._look_back(records))
            self._retry("the clock", lambda: self._look(records))
            ahead = len(self._ahead_of_it(records))
        if self._records > _RECENT_RECORDS:
            self._records, self._accusing = self._records // 2, self._accusing // 2
        self._records += len(records)
        self._accusing += ahead

    def _ahead_of_it(self, records: Sequence[Record]) -> list[Record]:
        latest = self._clock() + self._ahead
        return [r for r in records if r.timestamp is not None and r.timestamp > latest]

    def _look_back(self, records: Sequence[Record]) -> None:
        """Count those before the records too, where these alone are too few to accuse the clock."""
        ahead = len(self._ahead_of_it(records))
        accusing, known = self._accusing + ahead, self._records + len(records)
        if not ahead or accusing >= _FEWEST or 2 * accusing <= known:
            return
        before = self._before(records)
        latest = self._clock() + self._ahead
        self._records += len(before)
        self._accusing += sum(at > latest for at in before)

    def _look(self, records: Sequence[Record]) -> None:
        ahead = self._ahead_of_it(records)
        accusing = self._accusing + len(ahead)
        if accusing < _FEWEST or 2 * accusing <= self._records + len(records) or not ahead:
            return
        partitions = {record.partition for record in records}
        if 2 * len({record.partition for record in ahead}) <= len(partitions):
            return
        first = ahead[0]
        assert first.timestamp is not None
        raise RefusedError(
            "the clock",
            f"{accusing} of the last {self._records + len(records)} records have timestamps more "
            f"than {self._ahead:g} s ahead of this machine's clock, for example {first.partition} "
            f"{first.offset} of {in_utc(first.timestamp)} where the clock shows "
            f"{in_utc(self._clock())}: set the clock; or, if it is right and the producers are wrong, "
            'set clock_doubt = "ignore", and these records are dead-lettered as time-out-of-range',
        )


class RecordClock:
    """Dates records when they arrive: one bad timestamp must not hold its partition back for ever."""

    def __init__(
        self,
        ahead_seconds: float,
        observer: Observer,
        *,
        doubt: ClockDoubt | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """A timestamp that is absent, or later than the clock by `ahead_seconds`, counts as now.

        `doubt` is asked first where there is such a timestamp.
        """
        self._ahead = ahead_seconds
        self._doubt = doubt
        self._observer = observer
        self._clock = clock

    def __call__(self, records: Sequence[Record]) -> None:
        """Set `known_at` of records; raises what `ClockDoubt` raises."""
        if self._doubt is not None and records:
            self._doubt(records, max([record.known_at for record in records]))
        now = self._clock()
        latest = now + self._ahead
        corrected = 0
        for record in records:
            if record.known_at > latest:
                record.known_at = now
                corrected += 1
        if corrected:
            self._observer.tell(ClockCorrected(corrected))
