"""Waiting for a service that is away: with backoff, with jitter, and only until we stop."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from features.stores import StoreUnavailableError
from stream_app.errors import ServiceAwayError, StoppingError

__all__ = ["Patience"]

_T = TypeVar("_T")


class Patience:
    """Repeats a call while the service it needs is away."""

    def __init__(
        self,
        *,
        initial_seconds: float,
        max_seconds: float,
        on_waiting: Callable[[str, bool, str], None],
    ) -> None:
        """Waits grow from `initial_seconds` to `max_seconds`, each with full jitter.

        `on_waiting` is told service, whether it is waited for, and why: at each failure, and
        once when it is over.
        """
        self._initial = initial_seconds
        self._max = max_seconds
        self._on_waiting = on_waiting
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
        """Return what `call` returns; raises `StoppingError`, or what is no absence.

        `before_waiting` is called once, before the first wait.
        """
        wait = self._initial
        waiting = False
        while True:
            try:
                result = call()
            except (ServiceAwayError, StoreUnavailableError) as error:
                self._on_waiting(service, True, str(error))
                if not waiting:
                    waiting = True
                    if before_waiting is not None:
                        before_waiting()
            else:
                if waiting:
                    self._on_waiting(service, False, "")
                return result
            # Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter
            if self._stopping.wait(random.uniform(self._initial / 2, wait)):
                raise StoppingError(f"stopped while waiting for {service}")
            wait = min(self._max, wait * 2)
