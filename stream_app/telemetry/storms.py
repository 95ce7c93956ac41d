"""Lines that come by the thousand are held back and counted, wherever they come from.

Most storms have a guard of their own where they can begin, which knows what its lines are about. This
is the one behind all of them: a library that repeats itself, or a line of ours that nobody thought
could come so often. A use case's own lines are left alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

__all__ = ["SECONDS", "Storms"]

SECONDS: Final = 10.0
"""For so long is counted, from the first line of a kind on."""
_OURS: Final = 20
_LIBRARIES: Final = 1
_LIMITS: Final = {
    "stream_app": _OURS,
    "faust": _OURS,
    "mode": _OURS,
    "redis": _OURS,
    "librdkafka": _LIBRARIES,
    "opentelemetry": _LIBRARIES,
}
"""By the first part of a logger's name: lines of a kind within `SECONDS`."""
_GUARDED: Final = frozenset({"stream_app.telemetry.failure_log"})
"""Loggers that count their own lines, by what these are about: twenty reasons are no storm."""
_MOST_KINDS: Final = 10_000
"""What is older than `SECONDS` is forgotten then."""

_Kind = tuple[object, ...]


@dataclass(slots=True)
class _Window:
    until: float
    told: int = 0
    left_out: int = 0
    last: logging.LogRecord | None = None
    """The last line that was left out."""


class Storms:
    """Decides which lines are written; whoever calls it sees to it that only one thread does."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[_Kind, _Window] = {}
        self._waiting: dict[_Kind, _Window] = {}
        """Those of which a line was left out."""

    @property
    def is_waiting(self) -> bool:
        """Whether lines were left out that nobody has told of yet."""
        return bool(self._waiting)

    def takes(self, record: logging.LogRecord) -> bool:
        """Whether the line is written now; else it is counted."""
        most = _LIMITS.get(record.name.partition(".")[0])
        # What is asked for by the level DEBUG is wanted whole.
        if most is None or record.levelno <= logging.DEBUG or record.name in _GUARDED:
            return True
        now, kind = self._clock(), _kind(record)
        window = self._windows.get(kind)
        if window is None or now >= window.until:
            if len(self._windows) >= _MOST_KINDS:
                self._windows = {k: w for k, w in self._windows.items() if now < w.until}
            window = self._windows[kind] = _Window(now + SECONDS)
        if window.told < most:
            window.told += 1
            return True
        window.left_out += 1
        window.last = record
        self._waiting[kind] = window
        return False

    def due(self, *, all_of_them: bool = False) -> list[logging.LogRecord]:
        """Of each kind whose time is over, the last line that was left out, with their number."""
        now = self._clock()
        over = [kind for kind, w in self._waiting.items() if all_of_them or now >= w.until]
        return [_with_count(self._waiting.pop(kind)) for kind in over]


def _kind(record: logging.LogRecord) -> _Kind:
    if record.name == "librdkafka" and isinstance(record.args, tuple) and record.args:
        # Its messages are formatted from (kind, client, text): see the `logger` of confluent-kafka.
        return record.name, record.args[0]
    return record.name, record.pathname, record.lineno, str(record.msg)[:200]


def _with_count(window: _Window) -> logging.LogRecord:
    last = window.last
    assert last is not None
    told = logging.makeLogRecord(vars(last))
    more = window.left_out - 1
    if more:
        told.msg = f"{last.getMessage()} ({more} more like this were not told)"
        told.args = None
    return told
