"""Services that are away: told once when the first thread begins to wait, once when the last ends.

Several threads may wait for one service, each for what it needs of it. A person wants one line in
the log when that begins and one when it is over, and a probe wants to know whether anybody waits.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Absences"]

log = logging.getLogger(__name__)

_REASONS = 3
"""Most reasons that are told of one wait."""


@dataclass(slots=True)
class _Wait:
    since: float
    threads: set[threading.Thread]
    why: str
    """The latest reason."""
    reasons: set[str]


class Absences:
    """Counts the threads that wait, by service."""

    def __init__(
        self,
        *,
        on_change: Callable[[str, bool, str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_change` is told when the first begins to wait for a service, when the reason is
        another, and when the last ends."""
        self._on_change = on_change
        self._clock = clock
        self._lock = threading.Lock()
        self._waits: dict[str, _Wait] = {}

    def __call__(self, service: str, waiting: bool, why: str = "") -> None:
        """The calling thread waits for a service, or (`waiting` false) does not any more."""
        thread = threading.current_thread()
        with self._lock:
            wait = self._waits.get(service)
            if waiting and wait is None:
                self._waits[service] = _Wait(self._clock(), {thread}, why, {why})
                self._on_change(service, True, why)
                log.warning(
                    "waiting for %s%s", service, f": {why}" if why else "", extra=_about(service)
                )
            elif wait is not None and waiting:
                wait.threads.add(thread)
                if why and why != wait.why:
                    wait.why = why
                    self._on_change(service, True, why)
                if why not in wait.reasons and len(wait.reasons) < _REASONS:
                    # At first it is a connection that broke; why there is no new one comes later.
                    wait.reasons.add(why)
                    log.warning("%s is still away: %s", service, why, extra=_about(service))
            elif wait is not None:
                self._end(service, wait, {thread}, why)

    def forget_the_dead(self) -> None:
        """End the waits of threads that have ended: whatever ended them, they wait no more."""
        with self._lock:
            for service, wait in list(self._waits.items()):
                dead = {each for each in wait.threads if not each.is_alive()}
                self._end(service, wait, dead, "given up")

    def _end(self, service: str, wait: _Wait, threads: set[threading.Thread], why: str) -> None:
        if not threads & wait.threads:
            return
        wait.threads -= threads
        if not wait.threads:
            del self._waits[service]
            self._on_change(service, False, "")
            seconds = self._clock() - wait.since
            log.info(
                "%s is %s after %.1f s", service, why or "back", seconds, extra=_about(service)
            )


def _about(service: str) -> dict[str, str]:
    return {"service": service}
