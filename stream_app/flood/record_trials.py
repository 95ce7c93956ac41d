"""Tries records of a stopped partition as the worker would take them; nothing is taken, sent or written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple
from weakref import WeakSet

from stream_app.errors import StoppingError
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.log_reader import LogReader, read_ranges
from stream_app.predictor.predictor import Predictor
from stream_app.records.failure import Failure
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.places import id_of
from stream_app.records.record import Record
from stream_app.wire.outgoing import OutgoingRecords

__all__ = ["NewestTried", "RecordTrials"]

_WIDER: Final = 16
"""So many offsets are read at once where one record is looked for: a transaction takes one of its own."""
_MOST_OFFSETS: Final = 500
"""So many at most are read at once where the newest records are looked for."""
_SLICE_BYTES: Final = 16 * 2**20
_PASSED_OVER: Final = 10_000
"""Behind so many records that say nothing of a producer the newest are looked for no further."""


class NewestTried(NamedTuple):
    """What came of the newest records of a partition."""

    pass_: bool
    end: int
    """The offset behind them."""


class RecordTrials:
    """Every call is made by one thread, and waits while a service is away."""

    def __init__(
        self,
        brokers: Brokers,
        predictor: Predictor,
        outgoing: OutgoingRecords,
        *,
        newest_records: int,
        stopped: Callable[[], bool],
    ) -> None:
        """`predictor`: one of its own, over a store that is only read.

        `newest_records`: so many must pass.
        """
        self._brokers = brokers
        self._predictor = predictor
        self._outgoing = outgoing
        self._newest_records = newest_records
        self._stopped = stopped
        self._reader: LogReader | None = None
        self._registered: WeakSet[Partition] = WeakSet()

    def head(self, partition: Partition, offset: int) -> Failure | None:
        """Why the first record from `offset` on is refused; None where it passes, or there is none.

        Raises `ServiceAwayError` and `StoppingError`.
        """
        end = self._brokers.ends([id_of(partition)], decided=True)[id_of(partition)]
        first = self._first(partition, offset, end)
        return None if first is None else self._tried(first).failure

    def newest(self, partition: Partition, offset: int) -> NewestTried:
        """Whether the newest records behind `offset` pass, all of them; raises as `head` does.

        Those count that the breaker counts: neither records that the decoder skips nor replays of dead
        letters, which say nothing of whether the producer was mended.
        """
        end = self._brokers.ends([id_of(partition)], decided=True)[id_of(partition)]
        passed = passed_over = 0
        for record in self._newest_first(partition, offset + 1, end):
            item = self._tried(record)
            if item.is_skipped or item.first_origin is not None:
                passed_over += 1
                if passed_over == _PASSED_OVER:
                    break
            elif item.failure is not None:
                break
            else:
                passed += 1
                if passed == self._newest_records:
                    return NewestTried(True, end)
        return NewestTried(False, end)

    def close(self) -> None:
        """Let go of the connections."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _first(self, partition: Partition, offset: int, end: int) -> Record | None:
        start = max(offset, self._brokers.starts([id_of(partition)])[id_of(partition)])
        while start < end:
            until = min(end, start + _WIDER)
            for message in self._read(partition, start, until):
                return Record.of(partition, message)
            start = until
        return None

    def _newest_first(self, partition: Partition, offset: int, end: int) -> Iterator[Record]:
        """The records from `offset` on, backwards, read as far as they are asked for."""
        offset = max(offset, self._brokers.starts([id_of(partition)])[id_of(partition)])
        size = self._newest_records
        while offset < end:
            start = max(offset, end - size)
            records = [Record.of(partition, each) for each in self._read(partition, start, end)]
            held = sum(record.size for record in records) + 1
            size = min(2 * size, _MOST_OFFSETS, 1 + _SLICE_BYTES * (end - start) // held)
            end = start
            while records:
                yield records.pop()

    def _read(self, partition: Partition, start: int, end: int) -> list[Any]:
        """The records between two offsets."""
        if start >= end:
            return []
        if self._reader is None:
            self._reader = self._brokers.log_reader()
        try:
            taken = []
            for messages in read_ranges(self._reader, {id_of(partition): (start, end)}):
                taken.extend(messages)
                self._check()
        except BaseException:
            self.close()  # whatever it was in the middle of
            raise
        return taken

    def _check(self) -> None:
        if self._stopped():
            raise StoppingError("the worker is stopping")

    def _tried(self, record: Record) -> Item:
        """What the worker would make of a record; alone, for memory may be short."""
        record.known_at = min(record.known_at, time.time())
        if record.partition not in self._registered:
            self._predictor.state.register({record.partition: 0})
            self._registered.add(record.partition)
        try:
            batch = self._predictor([record])
            self._outgoing(batch)
        finally:
            self._predictor.state.forget_all()
        return batch.items[0]
