"""A process whose work stands still ends itself, and says where.

Polling goes on whatever the work does, so membership in the group proves nothing about it. Each
stage of each batch is therefore timed here, on the thread that works: a stage that is older than the
deadline and waits for no service is wedged. The process then names the stage and the offsets and
ends at once: what is unfinished was not committed, and another worker reads it again.

A call that never releases the interpreter's lock (a regular expression without end) stops this
thread as well. For that case this thread restarts the timer of `faulthandler` again and again. The
timer needs no lock; when it runs out, it ends the process with a traceback of every thread instead
of the offsets.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from stream_app.records.record import Record

__all__ = ["OldWork", "Watchdog", "Work", "end_process"]

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 1.0
"""Longest time between two looks."""
_FROZEN_LOOKS: Final = 5
"""If two looks are more than this many intervals apart, the process was frozen: no thread worked."""
_INTERPRETER_DEADLINES: Final = 1.5
"""The timer of `faulthandler` runs for this many deadlines, so that this watchdog acts first."""
_PROBE_SECONDS: Final = 0.02
_STDERR: Final = 2
_FLUSH_SECONDS: Final = 5.0
"""How long the last line of the log may take: its reader may be what is stuck."""


class Work:
    """What a thread has in hand."""

    __slots__ = ("outer", "records", "since", "stage", "thread", "waits_for")

    def __init__(
        self, stage: str, records: Iterable[Record], thread: int, since: float, outer: Work | None
    ) -> None:
        self.stage = stage
        self.records = records
        self.thread = thread
        self.since = since
        self.outer = outer
        """What the thread goes on with afterwards."""
        self.waits_for: str | None = None


class OldWork(NamedTuple):
    """Work that a thread has in hand."""

    stage: str
    seconds: float
    records: str
    """As ``orders[3] 17-240``."""


class Watchdog(threading.Thread):
    """Looks at the work in hand, and ends the process when it is wedged."""

    def __init__(
        self,
        deadline_seconds: float,
        *,
        on_wedged: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_wedged` gets the sentence for the log; by default it ends the process."""
        super().__init__(name="watchdog", daemon=True)
        self._deadline = deadline_seconds
        self._on_wedged = on_wedged or end_process
        self._clock = clock
        self._look_seconds = min(_LOOK_SECONDS, deadline_seconds / 10)
        self._looked = clock()
        self._in_hand: dict[int, Work] = {}
        self._stop = threading.Event()

    # Called by the threads that work.

    def began(self, stage: str, records: Iterable[Record]) -> None:
        """The calling thread begins a piece of work; it may be within another.

        `records` is iterated when it must be named, and only then.
        """
        thread = threading.get_ident()
        outer = self._in_hand.get(thread)
        self._in_hand[thread] = Work(stage, records, thread, self._clock(), outer)

    def ended(self) -> None:
        """The piece of work that the calling thread began last has ended."""
        work = self._in_hand[threading.get_ident()]
        if work.outer is None:
            del self._in_hand[work.thread]
        else:
            work.outer.since = self._clock()
            self._in_hand[work.thread] = work.outer

    def waits_for(self, service: str | None) -> None:
        """The calling thread waits for a service, or (None) no longer does: restart its time."""
        work = self._in_hand.get(threading.get_ident())
        if work is not None:
            work.since = self._clock()
            work.waits_for = service

    def progress(self) -> None:
        """The calling thread got on with work that consists of many pieces: its time begins anew."""
        work = self._in_hand.get(threading.get_ident())
        if work is not None:
            work.since = self._clock()

    # The thread.

    def run(self) -> None:
        """Look, until stopped."""
        while not self._stop.wait(self._look_seconds):
            faulthandler.dump_traceback_later(
                _INTERPRETER_DEADLINES * self._deadline, exit=True, file=_STDERR
            )
            self.look()
        faulthandler.cancel_dump_traceback_later()

    def stop(self) -> None:
        """Watch no longer."""
        self._stop.set()

    def look(self) -> None:
        """Tell of work that is older than the deadline."""
        now = self._clock()
        gap, self._looked = now - self._looked, now
        frozen = gap > _FROZEN_LOOKS * self._look_seconds
        for work in list(self._in_hand.values()):
            if frozen:
                work.since = min(work.since + gap, now)
            if work.waits_for is None and now - work.since > self._deadline:
                self._on_wedged(self.describe(work, now))

    def describe(self, work: Work, now: float) -> str:
        """The stage, the offsets and the line of code, in a sentence."""
        return (
            f"stage {work.stage} has been at work on {_spans(work.records)} for "
            f"{now - work.since:.0f} s without waiting for a service, longer than "
            f"work_deadline_seconds ({self._deadline:g}){_place(work.thread)}: the process ends, and "
            "what is unfinished is read again"
        )

    def oldest(self, older_than_seconds: float) -> OldWork | None:
        """The oldest work that waits for no service, or None where none is older than that."""
        now = self._clock()
        works = [work for work in list(self._in_hand.values()) if work.waits_for is None]
        oldest = min(works, key=lambda work: work.since, default=None)
        if oldest is None or now - oldest.since <= older_than_seconds:
            return None
        return OldWork(oldest.stage, now - oldest.since, _spans(oldest.records))

    def unfinished(self, patience_seconds: float) -> str | None:
        """The work that is in hand still, in words, or None as soon as there is none."""
        until = self._clock() + patience_seconds
        while works := list(self._in_hand.values()):
            if self._clock() > until:
                return ", ".join(f"{work.stage} of {_spans(work.records)}" for work in works)
            time.sleep(_PROBE_SECONDS)
        return None


def end_process(sentence: str, status: int = 1) -> None:
    """Log one line and end the process at once: nothing more is published, written or committed."""
    # If the log blocks for ever because its reader is stuck, this timer still ends the process.
    last = threading.Timer(_FLUSH_SECONDS, os._exit, [status])
    last.daemon = True
    last.start()
    log.critical("%s", sentence)
    logging.shutdown()
    os._exit(status)


def _spans(records: Iterable[Record]) -> str:
    """First and last offset by partition, as ``orders[3] 17-240``."""
    spans: dict[str, tuple[int, int]] = {}
    for record in records:
        name = repr(record.partition)
        first, _ = spans.get(name, (record.offset, 0))
        spans[name] = first, record.offset
    named = [f"{name} {first}-{last}" for name, (first, last) in sorted(spans.items())]
    return ", ".join(named) or "no record"


def _place(thread: int) -> str:
    """Where a thread is, as `` at FILE:LINE in FUNCTION``."""
    frame = sys._current_frames().get(thread)
    if frame is None:
        return ""
    return f" at {frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
