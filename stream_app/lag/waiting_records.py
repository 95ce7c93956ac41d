"""How much waits in a partition, and since when: read from the log itself.

Between a group's offset and the end of a log lie records, and also markers of transactions, which are no
work: a group that is done stands one offset before the end for ever. So what lies there is read: all of it
where it is little, which is an exact count; else the first records, whose share among their offsets is
taken for the share of the rest.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from stream_app.kafka.log_reader import LogReader
from stream_app.records.places import PartitionId

__all__ = ["Waiting", "WaitingRecords"]

_MOST: Final = 500
"""Records that are read of a partition at one look."""
_STEP: Final = 100
_POLL_SECONDS: Final = 0.2
_LOOK_SECONDS: Final = 5.0
"""How long a look may take, where leaders are away."""
_MILLISECOND: Final = 1e-3


class Waiting(NamedTuple):
    """What waits in a partition."""

    records: int
    is_exact: bool
    oldest: float | None
    """Timestamp of the first of them, in seconds since the epoch; None where there is no record, or it
    has none."""


_NOTHING: Final = Waiting(0, True, None)


@dataclass
class _Count:
    """What was read of a range so far."""

    first: int
    end: int
    reached: int
    records: int = 0
    first_record: int | None = None
    oldest: float | None = None

    def waiting(self) -> Waiting:
        read = self.reached - self.first
        if self.reached >= self.end:
            return Waiting(self.records, True, self.oldest)
        left = self.end - self.reached
        # Until a record was seen, each offset may be one.
        share = self.records / read if self.records else 1.0
        return Waiting(self.records + round(left * share), False, self.oldest)


class WaitingRecords:
    """Reads what waits; what did not move since the last look is not read again."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._known: dict[PartitionId, _Count] = {}

    def look(self, ranges: Mapping[PartitionId, tuple[int, int]]) -> dict[PartitionId, Waiting]:
        """What waits in each range, from its first offset up to and without its second.

        Where a leader does not answer in time, what was known of the same range stands, or every offset
        is taken for a record. Raises what the brokers refuse for good.
        """
        counts = {each: self._begun(each, *range_) for each, range_ in ranges.items()}
        self._read({each: count for each, count in counts.items() if count.reached < count.end})
        self._known = counts
        return {
            each: _NOTHING if count.first >= count.end else count.waiting()
            for each, count in counts.items()
        }

    def _begun(self, partition: PartitionId, first: int, end: int) -> _Count:
        known = self._known.get(partition)
        if known is not None and known.first == first and known.reached <= end:
            known.end = end
            return known
        return _Count(first, end, first)

    def _read(self, counts: dict[PartitionId, _Count]) -> None:
        left = {each: count for each, count in counts.items() if count.records < _MOST}
        if not left:
            return
        deadline = time.monotonic() + _LOOK_SECONDS
        self._reader.assign({each: (count.reached, count.end) for each, count in left.items()})
        while not self._reader.is_done and time.monotonic() < deadline:
            for step in self._reader.read(_STEP, _POLL_SECONDS):
                count = left.get(step.partition)
                if count is None:
                    continue
                count.reached = step.end
                if step.message is not None:
                    _take(count, step.message)
                    if count.records >= _MOST:
                        del left[step.partition]
            if any(self._reader.is_reading(each) for each in counts if each not in left):
                self._reader.assign({each: (c.reached, c.end) for each, c in left.items()})
        self._reader.assign({})


def _take(count: _Count, message: object) -> None:
    count.records += 1
    if count.first_record is None:
        count.first_record = message.offset()  # type: ignore[attr-defined]
        kind, milliseconds = message.timestamp()  # type: ignore[attr-defined]
        count.oldest = milliseconds * _MILLISECOND if kind and milliseconds >= 0 else None
