"""Tells in the log which records failed: the first of each kind at once, then their number.

A topic may send nothing but bad records, so of each topic, stage and reason there is one line in a
while, which says how many it stands for. A run of failures that are mistakes in code, the worker's
or the use case's, is told by a line of its own.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from stream_app.observer.events import BatchFinished
from stream_app.records.failure import Failure
from stream_app.records.item import Item
from stream_app.records.log_fields import about
from stream_app.records.partition import Partition
from stream_app.text.foreign import bounded
from stream_app.wire.reasons import label

__all__ = ["FailureLog"]

log = logging.getLogger(__name__)

_SECONDS: Final = 10.0
"""Between two lines about the same kind of failure."""
_RECENT_RECORDS: Final = 1_000
"""So many records, about, are looked back on."""
_ALARMING_SHARE: Final = 0.01
_ALARMING_BUGS: Final = 10
"""A run: so many at least, and such a share of the recent records."""

#: Topic, stage and reason.
_Kind = tuple[str, str, str]


class _Told(NamedTuple):
    """What the log says of a failed record; the payload is not kept."""

    partition: Partition
    offset: int
    failure: Failure


def _by_kind(items: Iterable[Item]) -> dict[tuple[_Kind, str], list[Item]]:
    """Failed records by their kinds and dispositions, in the order in which the first of each came."""
    found: dict[tuple[_Kind, str], list[Item]] = {}
    for item in items:
        failure = item.failure
        assert failure is not None
        kind = item.record.partition.topic, failure.stage, label(failure.reason)
        found.setdefault((kind, failure.disposition), []).append(item)
    return found


def _told(item: Item) -> _Told:
    assert item.failure is not None
    return _Told(item.record.partition, item.offset, item.failure)


class FailureLog:
    """Tells of failed records; any thread may call it."""

    def __init__(
        self, *, seconds: float = _SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`seconds`: between two lines about one topic, stage and reason."""
        self._seconds = seconds
        self._monotonic = monotonic
        self._next: dict[_Kind, float] = {}
        self._lock = threading.Lock()
        self._untold: dict[_Kind, tuple[_Told, int]] = {}
        """Of each kind the last one that was left out, and how many were."""
        self._records = 0
        self._bugs: Counter[_Kind] = Counter()
        self._next_alarm = 0.0

    def __call__(self, finished: BatchFinished) -> None:
        """Tell of the records of a finished batch that failed."""
        now = self._monotonic()
        with self._lock:
            self._records += len(finished.batch.items)
            # Of a stream that is refused throughout there are thousands, of few kinds.
            for (kind, disposition), told in _by_kind(finished.failed).items():
                self._note(kind, disposition, told, now)
            self._tell_untold(now)
            if self._bugs:
                self._look_for_a_run(now)
            if self._records > _RECENT_RECORDS:
                self._records = 0
                self._bugs.clear()

    def look(self) -> None:
        """Tell of those that were left out a while ago."""
        if self._untold:
            with self._lock:
                self._tell_untold(self._monotonic())

    def close(self) -> None:
        """Tell of all that was left out."""
        with self._lock:
            self._tell_untold(math.inf)

    def _note(self, kind: _Kind, disposition: str, items: Sequence[Item], now: float) -> None:
        if disposition == "bug":
            self._bugs[kind] += len(items)
        if now >= self._next.get(kind, 0.0):
            self._tell(kind, _told(items[0]), now)
            items = items[1:]
        if items:
            _, left_out = self._untold.get(kind, (None, 0))
            self._untold[kind] = _told(items[-1]), left_out + len(items)

    def _tell_untold(self, now: float) -> None:
        for kind, (told, _) in list(self._untold.items()):
            if now >= self._next[kind]:
                self._tell(kind, told, now)

    def _tell(self, kind: _Kind, told: _Told, now: float) -> None:
        failure = told.failure
        _, count = self._untold.pop(kind, (told, 0))
        self._next[kind] = now + self._seconds
        more = f"; {count} of this topic, stage and reason since the last line" if count else ""
        log.log(
            logging.ERROR if failure.disposition == "bug" else logging.WARNING,
            "dead letter: %s %d, stage %s, reason %s (%s): %s%s",
            told.partition, told.offset, failure.stage, bounded(failure.reason),
            failure.disposition, bounded(failure.message, 500), more,
            extra=about(told.partition, told.offset),
        )  # fmt: skip

    def _look_for_a_run(self, now: float) -> None:
        bugs = self._bugs.total()
        if bugs < _ALARMING_BUGS or bugs < _ALARMING_SHARE * self._records:
            return
        if now < self._next_alarm:
            return
        self._next_alarm = now + 6 * self._seconds
        (topic, stage, reason), most = self._bugs.most_common(1)[0]
        log.error(
            "%d of the last %d records were dead-lettered for mistakes in code, not for what they "
            "are; most of them (%d) at stage %s for %s, in %s: see the lines about dead letters for "
            "the function and line, mend it, and process the dead letters again",
            bugs, self._records, most, stage, reason, topic,
            extra={"topic": topic},
        )  # fmt: skip
