"""Waiting for a service that is away: with backoff, with jitter, and only until we stop."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from stream_app.errors import FatalError, RefusedError, ServiceAwayError, StoppingError
from stream_app.features.stores import StoreUnavailableError
from stream_app.observer.events import WaitingBegan, WaitingEnded
from stream_app.observer.observer import Observer

__all__ = ["Retry"]

_T = TypeVar("_T")


class Retry:
    """Repeats a call while the service it needs is away."""

    def __init__(
        self,
        *,
        initial_seconds: float,
        max_seconds: float,
        observer: Observer,
        refusal_seconds: float = math.inf,
        explained: Callable[[ServiceAwayError], ServiceAwayError] = lambda absence: absence,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Waits grow from `initial_seconds` to `max_seconds`, each with full jitter.

        `observer` is told of a wait at each failure, and once when it is over, however that ends.
        A service that does nothing but refuse (`RefusedError`) for `refusal_seconds` means it.
        `explained` adds what is known of an absence.
        """
        self._initial = initial_seconds
        self._max = max_seconds
        self._observer = observer
        self._refusal = refusal_seconds
        self._explained = explained
        self._monotonic = monotonic
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End all waits, now and from now on, with `StoppingError`."""
        self._stopping.set()

    def stopped(self) -> bool:
        """Whether all waits have ended."""
        return self._stopping.is_set()

    def __call__(
        self, service: str, call: Callable[[], _T], before_waiting: Callable[[], None] | None = None
    ) -> _T:
        """Return what `call` returns; any exception that is no absence is raised unchanged.

        Raises `StoppingError`, and `FatalError` where the service has refused for long enough.
        `before_waiting` is called once, before the first wait. An absence that names another service
        than `service` is told under that one's name.
        """
        wait = self._initial
        waits_for: str | None = None
        refused_since: float | None = None
        is_away = False
        try:
            while True:
                is_away = False  # whatever else it raises, the service has answered
                try:
                    return call()
                except (ServiceAwayError, StoreUnavailableError) as error:
                    known = self._explained(error) if isinstance(error, ServiceAwayError) else error
                    first, is_away = waits_for is None, True
                    waits_for = self._wait_for(getattr(known, "service", service), waits_for, known)
                    refused_since = self._refused(known, refused_since)
                    if first and before_waiting is not None:
                        before_waiting()
                except StoppingError:
                    is_away = True
                    raise
                # Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter
                if self._stopping.wait(random.uniform(self._initial / 2, wait)):
                    raise StoppingError(f"stopped while waiting for {waits_for or service}")
                wait = min(self._max, wait * 2)
        finally:
            if waits_for is not None:
                self._observer.tell(WaitingEnded(waits_for, is_given_up=is_away))

    def _wait_for(self, service: str, before: str | None, why: Exception) -> str:
        """Tell that `service` is waited for; the one waited for before has answered."""
        if before not in (None, service):
            self._observer.tell(WaitingEnded(before, is_given_up=False))
        self._observer.tell(WaitingBegan(service, str(why)))
        return service

    def _refused(self, error: Exception, since: float | None) -> float | None:
        """Since when the service has done nothing but refuse; raises `FatalError` after a while."""
        if not isinstance(error, RefusedError):
            return None
        now = self._monotonic()
        since = now if since is None else since
        if now - since >= self._refusal:
            raise FatalError(str(error)) from error
        return since
