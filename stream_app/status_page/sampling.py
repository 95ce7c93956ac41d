"""Takes the figures down every two seconds, on a thread of its own: also while the work is stuck."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from stream_app.status_page.series import STEP_SECONDS
from stream_app.text.rate_limited import RateLimited

__all__ = ["Sampler", "step_now"]

log = logging.getLogger(__name__)


def step_now() -> int:
    """The number of the step that is under way, by a clock that only goes forward."""
    return int(time.monotonic() // STEP_SECONDS)


class Sampler:
    """Calls a function in every step, from `start` to `stop`."""

    def __init__(self, sample: Callable[[int], None]) -> None:
        """`sample` gets the number of the step; one that raises is logged, and tried again."""
        self._sample = sample
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)
        self._warn = RateLimited(log.exception, 60.0)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._sample(step_now())
            except Exception:  # noqa: BLE001 - the work and the page go on with what is known
                self._warn("the figures of the status page could not be taken down")
            self._stop.wait(STEP_SECONDS - time.monotonic() % STEP_SECONDS)
