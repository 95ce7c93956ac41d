"""How large a batch is.

A batch is what `align` may release now: one record where the stream is quiet, and under load as many
as fit within `batch_max_records` and `batch_max_bytes`. What does not fill a batch waits where the next
chunk is at hand already: each batch reads and writes its states once, so full ones cost less. A single
larger record is a batch of its own. After starts of the process that got nowhere a batch holds fewer:
`crash_isolation` halves `batch_max_records` for each of them, and in the end batches of one record
(`CrashIsolation.batch_limit`).

How many records are polled at once is another matter (`poll_max_records`: see
`kafka/consumer/client_thread.py`; `linger_seconds`: see `kafka/consumer/linger.py`), and so is how many a
rebuilding takes at a time (`recovery/log_replay.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["BatchSize"]


class BatchSize:
    """The bounds of a batch."""

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self.max_records = max_records
        self._max_bytes = max_bytes

    def fitting(self, sizes: Sequence[int], most: int) -> tuple[int, int]:
        """How many of the first records fit into a batch, at least one, and their bytes.

        `sizes`: of the records, in bytes. `most`: how many records a batch may have now, at least one.
        """
        total = sum(sizes)
        if len(sizes) <= most and total <= self._max_bytes:
            return len(sizes), total
        count = total = 0
        for size in sizes[:most]:
            if count and total + size > self._max_bytes:
                break
            count += 1
            total += size
        return count, total

    def is_filled(self, sizes: Sequence[int], most: int) -> bool:
        """Whether records of these sizes, in bytes, leave no room in a batch of `most` records."""
        return len(sizes) >= most or sum(sizes) >= self._max_bytes
