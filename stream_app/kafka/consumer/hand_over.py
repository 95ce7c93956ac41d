"""The hand-over of chunks from the client thread to the work, and how much of it may be under way.

In a backlog chunks are handed over while fewer than `chunk_buffer` are at work, and batches of several are
under way at once. Where a poll leaves less behind than it brings, a chunk goes when all before it is
delivered, and what comes meanwhile shares it: many small batches, each with a round trip to the brokers and to Redis,
would stand in line behind each other, and a record would wait for all of them. It is Nagle's rule for
small segments (RFC 896).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from stream_app.records.chunk import Chunk

__all__ = ["HandOver"]

_HEARTBEAT_SECONDS = 0.5
"""An empty chunk goes through the worker at least this often, to show that all of it is alive."""
_CROWDED = 16
"""How much smaller chunks are while many records are held for their turn."""


class HandOver:
    """Hands chunks over, as many as may be at work."""

    def __init__(
        self, on_chunk: Callable[[Chunk], None], *, chunk_buffer: int, tick_seconds: float
    ) -> None:
        """`chunk_buffer`: chunks that may be at work at once, while polls leave records behind.

        `tick_seconds`: how often an empty chunk comes while records are held for their turn.
        """
        self._on_chunk = on_chunk
        self._chunk_buffer = chunk_buffer
        self._tick = tick_seconds
        self._changed = threading.Condition()
        self._outstanding = 0
        self._delivering = 0
        self._is_behind = False
        self._holding = False
        self._crowded = False
        self._last_chunk = 0.0

    def done(self, *, holding: bool, crowded: bool) -> None:
        """One chunk is worked off; called by other threads. See `ClientThread.chunk_done`."""
        with self._changed:
            self._holding = holding
            self._crowded = crowded
            self._outstanding -= 1
            self._changed.notify_all()

    def delivering(self, change: int) -> None:
        """So many batches more, or fewer, are on their way to be delivered; called by other threads."""
        with self._changed:
            self._delivering += change
            self._changed.notify_all()

    def polled(self, *, is_behind: bool) -> None:
        """Records were polled; `is_behind`: at least as many as they are wait in the queue or in the log."""
        self._is_behind = is_behind

    @property
    def more_waits(self) -> bool:
        """Whether there are chunks behind the one at work."""
        return self._outstanding > 1

    def wake(self) -> None:
        """End a wait for space early."""
        with self._changed:
            self._changed.notify_all()

    def has_space(self, timeout: float) -> bool:
        """Whether another chunk may be handed over; waited for, so many seconds."""
        with self._changed:
            return self._changed.wait_for(self._may_go, timeout=timeout)

    def _may_go(self) -> bool:
        if self._is_behind:
            return self._outstanding < self._chunk_buffer
        return self._outstanding == 0 and self._delivering == 0

    def poll_seconds(self, idle_seconds: float) -> float:
        """How long a poll may wait for its first record."""
        return self._tick if self._holding else idle_seconds

    def most_records(self, poll_max_records: int) -> int:
        """How many records the next chunk may hold."""
        return max(1, poll_max_records // _CROWDED) if self._crowded else poll_max_records

    def is_due(self, chunk: Chunk, *, has_news: bool) -> bool:
        """Whether the chunk goes now: there is something in it, or its emptiness is to be told."""
        if chunk.records or chunk.ended or chunk.rewound or has_news:
            return True
        interval = self._tick if self._holding else _HEARTBEAT_SECONDS
        return time.monotonic() - self._last_chunk >= interval

    def __call__(self, chunk: Chunk) -> None:
        """Hand a chunk over."""
        self._last_chunk = time.monotonic()
        with self._changed:
            self._outstanding += 1
        self._on_chunk(chunk)
