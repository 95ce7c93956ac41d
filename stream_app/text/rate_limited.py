"""Lines of the log that a hostile stream could otherwise write without end."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["RateLimited"]

_SECONDS = 10.0


class RateLimited:
    """Writes a line, and those after it only when a while is over, with how many were left out."""

    def __init__(
        self,
        write: Callable[..., None],
        seconds: float = _SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`write`: a logger's method; `seconds` from a line to the next."""
        self._write = write
        self._seconds = seconds
        self._monotonic = monotonic
        self._next = float("-inf")
        self._left_out = 0

    def __call__(self, message: str, *arguments: object, **options: object) -> None:
        """Write a line, or count it; `options` are the method's, `extra` for one."""
        now = self._monotonic()
        if now < self._next:
            self._left_out += 1
            return
        more = f" ({self._left_out} more like this were not told)" if self._left_out else ""
        self._next, self._left_out = now + self._seconds, 0
        self._write(message + more, *arguments, **options)
