"""Is the worker alive, is it ready, and if not, why.

Alive: the work loop gave a sign within the deadline, or waits for a service that it can name; to
restart a worker that waits for Redis would not bring Redis back. Ready: the worker said so, and
waits for no service. Where the flood breaker has stopped partitions it is ready for the others, if there
are any.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

__all__ = ["TAKES_RECORDS", "Answer", "Health", "Waited"]

TAKES_RECORDS: Final = "The worker takes records."
"""Said where there is nothing else to say."""


_NAMED: Final = 5
"""Partitions that a sentence names; the details have all of them."""


class Answer(NamedTuple):
    """What a probe is told."""

    ok: bool
    why: str
    """A sentence for the person who looks at the probe."""
    details: dict[str, Any]


class _Wait(NamedTuple):
    since: float
    why: str


class Waited(NamedTuple):
    """A service that is waited for."""

    service: str
    seconds: float
    """For how long so far."""
    why: str


class Health:
    """The worker's state of health. Every method may be called from any thread."""

    def __init__(
        self,
        deadline_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        *,
        before_answering: Callable[[], None] = lambda: None,
    ) -> None:
        """`before_answering` may correct what is known."""
        self._deadline_seconds = deadline_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._beat = clock()
        self._before_answering = before_answering
        self._waiting: dict[str, _Wait] = {}
        self._ready = False
        self._leaving = False
        self._why = "The worker is starting."
        self._stopped: list[str] = []
        self._takes_nothing = False

    def beat(self) -> None:
        """Say that the work loop goes round; an idle one says so too."""
        self._beat = self._clock()

    def waiting_for(self, service: str | None, why: str = "") -> None:
        """Say that the worker waits for a service and why, or (None) for none any more."""
        with self._lock:
            if service is None:
                self._waiting.clear()
                self._beat = self._clock()
            else:
                present = self._waiting.get(service)
                since = self._clock() if present is None else present.since
                self._waiting[service] = _Wait(since, why)

    def arrived(self, service: str) -> None:
        """Say that one service is back; others may still be waited for."""
        with self._lock:
            if self._waiting.pop(service, None) is not None:
                self._beat = self._clock()

    def ready(self, ready: bool, why: str = "") -> None:
        """Say whether the worker can do its work, and if not, why; of no effect once it leaves."""
        with self._lock:
            if not self._leaving:
                self._ready = ready
                self._why = why

    def stopped(self, partitions: Sequence[str], *, takes_nothing: bool) -> None:
        """Say which partitions the flood breaker has stopped, each with its offset.

        `takes_nothing`: whether those are all that the worker holds.
        """
        with self._lock:
            self._stopped, self._takes_nothing = list(partitions), takes_nothing

    def leaving(self, why: str) -> None:
        """Say that the worker ends, and why: it is not ready any more, whatever else is said."""
        with self._lock:
            self._leaving, self._ready, self._why = True, False, why

    def liveness(self) -> Answer:
        """Whether the worker should be left alone rather than restarted."""
        self._before_answering()
        with self._lock:
            age, waiting = self._now()
        details = {"heartbeat_age_seconds": round(age, 3), "waiting_for": sorted(waiting)}
        if waiting:
            return Answer(True, _wait(waiting), details)
        if age > self._deadline_seconds:
            why = f"The work loop gave no sign for {age:.1f} s."
            return Answer(False, why, details)
        return Answer(True, "The work loop goes round.", details)

    def readiness(self) -> Answer:
        """Whether the worker does its work now."""
        self._before_answering()
        with self._lock:
            _, waiting = self._now()
            ready, why = self._ready, self._why
            stopped, takes_nothing = self._stopped, self._takes_nothing
        details: dict[str, Any] = {"waiting_for": sorted(waiting), "stopped_partitions": stopped}
        if waiting:
            return Answer(False, _wait(waiting), details)
        if not ready:
            return Answer(False, why or "The worker is not ready.", details)
        if stopped:
            return Answer(not takes_nothing, _stops(stopped, takes_nothing), details)
        return Answer(True, why or TAKES_RECORDS, details)

    def waits(self) -> list[Waited]:
        """The services that are waited for, by name."""
        self._before_answering()
        with self._lock:
            _, waiting = self._now()
        return [Waited(name, wait.since, wait.why) for name, wait in sorted(waiting.items())]

    def _now(self) -> tuple[float, dict[str, _Wait]]:
        now = self._clock()
        waiting = {name: _Wait(now - since, why) for name, (since, why) in self._waiting.items()}
        return now - self._beat, waiting


def _stops(stopped: Sequence[str], takes_nothing: bool) -> str:
    named = ", ".join(stopped[:_NAMED]) + (", ..." if len(stopped) > _NAMED else "")
    rest = "takes no records" if takes_nothing else "takes the records of its other partitions"
    return (
        f"The worker {rest}: too many records were refused, so nothing is taken of {named}. "
        "`stream-app resume` says what can be done."
    )


def _wait(waiting: dict[str, _Wait]) -> str:
    services = "; ".join(
        f"{name} ({wait.since:.1f} s){f': {wait.why}' if wait.why else ''}"
        for name, wait in sorted(waiting.items())
    )
    return f"The worker waits for {services.rstrip('.')}."
