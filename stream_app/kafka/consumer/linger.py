"""How long a poll lingers for more records.

A batch has a price of its own, whatever it holds: a read and a write of Redis, a call of the model, an answer
of the brokers. So batches follow each other no closer than `linger_seconds`, and the records of that time share
one. Nobody waits who would not save anything by it: after a longer pause a record goes at once; where as much
is left behind by a poll as it brought, or batches take longer than this, so does the next one.
"""

from __future__ import annotations

import math

__all__ = ["Linger"]


class Linger:
    """Spaces out the polls that brought all there was; moments are of the monotonic clock, in seconds."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: the most that a record waits for others; 0 for no waiting."""
        self._seconds = seconds
        self._until = -math.inf

    def polled(self, now: float, *, is_behind: bool) -> None:
        """Records were polled; `is_behind`: at least as many as they are wait in the queue or in the log."""
        self._until = -math.inf if is_behind else now + self._seconds

    def seconds_left(self, now: float) -> float:
        """How long the next poll is to be put off, at least 0."""
        return max(0.0, self._until - now)
