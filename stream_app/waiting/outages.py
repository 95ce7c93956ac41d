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

from stream_app.observer.events import OutageBegan, OutageEnded, WaitingBegan, WaitingEnded
from stream_app.observer.observer import Observer

__all__ = ["Outages"]

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


class Outages:
    """Counts the threads that wait, by service."""

    def __init__(
        self,
        observer: Observer,
        *,
        explained: Callable[[str, str], str] = lambda _, why: why,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`observer` is told when the first begins to wait for a service, when the reason is another,
        and when the last ends. `explained` adds to a service and why it is waited for what else is
        known."""
        self._observer = observer
        self._explained = explained
        self._clock = clock
        self._lock = threading.Lock()
        self._waits: dict[str, _Wait] = {}

    def began(self, wait: WaitingBegan) -> None:
        """The calling thread waits for a service."""
        service, thread = wait.service, threading.current_thread()
        why = self._explained(service, wait.why)
        with self._lock:
            known = self._waits.get(service)
            if known is None:
                self._waits[service] = _Wait(self._clock(), {thread}, why, {why})
                self._observer.tell(OutageBegan(service, why))
                log.warning(
                    "waiting for %s%s", service, f": {why}" if why else "", extra=_about(service)
                )
                return
            known.threads.add(thread)
            if why and why != known.why:
                known.why = why
                self._observer.tell(OutageBegan(service, why))
            if why not in known.reasons and len(known.reasons) < _REASONS:
                # At first it is a connection that broke; why there is no new one comes later.
                known.reasons.add(why)
                log.warning("%s is still away: %s", service, why, extra=_about(service))

    def ended(self, wait: WaitingEnded) -> None:
        """The calling thread does not wait for a service any more."""
        with self._lock:
            known = self._waits.get(wait.service)
            if known is not None:
                outcome = "given up" if wait.is_given_up else "back"
                self._end(wait.service, known, {threading.current_thread()}, outcome)

    def forget_the_dead(self) -> None:
        """End the waits of threads that have ended: whatever ended them, they wait no more."""
        with self._lock:
            for service, wait in list(self._waits.items()):
                dead = {each for each in wait.threads if not each.is_alive()}
                self._end(service, wait, dead, "given up")

    def _end(self, service: str, wait: _Wait, threads: set[threading.Thread], outcome: str) -> None:
        if not threads & wait.threads:
            return
        wait.threads -= threads
        if not wait.threads:
            del self._waits[service]
            self._observer.tell(OutageEnded(service))
            seconds = self._clock() - wait.since
            log.info("%s is %s after %.1f s", service, outcome, seconds, extra=_about(service))


def _about(service: str) -> dict[str, str]:
    return {"service": service}
