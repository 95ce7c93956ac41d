"""Is the worker alive, is it ready, and if not, why.

Alive: the work loop gave a sign within the deadline, or waits for a service that it can name; to
restart a worker that waits for Redis would not bring Redis back. Ready: the worker said so, and
waits for no service.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Answer", "Health"]


class Answer(NamedTuple):
    """What a probe is told."""

    ok: bool
    why: str
    """A sentence for the person who looks at the probe."""
    details: dict[str, Any]


class Health:
    """The worker's state of health. Every method may be called from any thread."""

    def __init__(
        self, deadline_seconds: float = 60.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._deadline_seconds = deadline_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._beat = clock()
        self._waiting: dict[str, float] = {}
        self._ready = False
        self._why = "The worker is starting."

    def beat(self) -> None:
        """Say that the work loop goes round; an idle one says so too."""
        self._beat = self._clock()

    def waiting_for(self, service: str | None) -> None:
        """Say that the worker waits for a service, or (None) for none any more."""
        with self._lock:
            if service is None:
                self._waiting.clear()
                self._beat = self._clock()
            else:
                self._waiting.setdefault(service, self._clock())

    def arrived(self, service: str) -> None:
        """Say that one service is back; others may still be waited for."""
        with self._lock:
            if self._waiting.pop(service, None) is not None:
                self._beat = self._clock()

    def ready(self, ready: bool, why: str = "") -> None:
        """Say whether the worker can do its work, and if not, why."""
        with self._lock:
            self._ready = ready
            self._why = why

    def liveness(self) -> Answer:
        """Whether the worker should be left alone rather than restarted."""
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
        with self._lock:
            _, waiting = self._now()
            ready, why = self._ready, self._why
        details: dict[str, Any] = {"waiting_for": sorted(waiting)}
        if waiting:
            return Answer(False, _wait(waiting), details)
        if not ready:
            return Answer(False, why or "The worker is not ready.", details)
        return Answer(True, why or "The worker takes records.", details)

    def _now(self) -> tuple[float, dict[str, float]]:
        now = self._clock()
        return now - self._beat, {name: now - since for name, since in self._waiting.items()}


def _wait(waiting: dict[str, float]) -> str:
    services = ", ".join(f"{name} ({seconds:.1f} s)" for name, seconds in sorted(waiting.items()))
    return f"The worker waits for {services}."
