"""Keeps a record that kills the process from killing it again at every start.

Starts that got nowhere are counted (`records.start_count`). With each of them batches are halved, for memory may
be what runs out. From a number of them on, the records of the region are first tried in a child
process, one by one (`trial`). One that kills the child is dead-lettered and its neighbours pass; the
region then begins anew behind it, for such records seldom come alone. Past the region all is as
usual.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol
from weakref import WeakKeyDictionary

from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.predictor.decode import Decode
from stream_app.records.failure import Failure
from stream_app.records.item import Item
from stream_app.records.log_fields import about
from stream_app.records.partition import Partition
from stream_app.records.record import Record
from stream_app.records.start_position import StartPosition

__all__ = ["Attempt", "CrashIsolation", "guarded"]

log = logging.getLogger(__name__)


class Attempt(Protocol):
    """Tries records in a child process."""

    def __call__(self, record: Record) -> Failure | None:
        """Return why the record kills, or None where the child survived it."""

    def close(self) -> None:
        """No more records are to be tried for now."""


class CrashIsolation:
    """Tries records before the worker does; every call is made on the compute thread."""

    def __init__(
        self,
        attempt: Attempt,
        tracker: OffsetTracker,
        *,
        starts: int,
        region_records: int,
    ) -> None:
        """`starts`: after so many that got nowhere, records are tried.

        `region_records`: how far behind a partition's committed offset the records lie that a
        process may have had in hand.
        """
        self._attempt = attempt
        self._tracker = tracker
        self._starts = starts
        self._region = region_records
        self._suspects: dict[Partition, int] = {}
        """Next offset to be decoded of partitions whose earlier starts got nowhere."""
        self._aside: dict[Partition, int] = {}
        """Those of them of which nothing is taken for now."""

    def batch_limit(self, records: int) -> int:
        """How many of the usual `records` a batch may have now."""
        worst = max(map(self._tracker.failed_starts, self._suspects), default=0)
        # No single record crashed the child, so use batches of one record.
        return max(1, records >> worst) if worst <= self._starts else 1

    def assigned(self, starts: Iterable[StartPosition]) -> None:
        """Suspect those of the assigned partitions whose earlier starts got nowhere."""
        for start in starts:
            if not start.failed_starts:
                continue
            partition = start.partition
            self._suspects[partition] = start.offset
            self._tracker.suspect(partition, until=start.offset + self._region)
            tried = ", and records are first tried in a child process"
            log.warning(
                "%s: %d starts in a row got nowhere from offset %d on; for a while batches are "
                "smaller%s",
                partition,
                start.failed_starts,
                start.offset,
                tried if self._is_tried(partition) else "",
                extra=about(partition, start.offset),
            )

    def set_aside(self, partition: Partition, offset: int) -> None:
        """Nothing of a partition is taken from `offset` on, until `take_up`: nobody need be careful."""
        if self._suspects.pop(partition, None) is not None:
            self._aside[partition] = offset

    def take_up(self, partition: Partition) -> None:
        """A partition that was set aside is taken again, from there on."""
        offset = self._aside.pop(partition, None)
        if offset is not None:
            self._suspects[partition] = offset

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Partitions were revoked."""
        for partition in partitions:
            self._aside.pop(partition, None)

    def decode(self, records: Sequence[Record], decode: Decode) -> list[Item]:
        """Decode records, those that kill left out: they get a failure and no event."""
        if not self._suspects:
            return decode(records)
        items = _decode_but(records, self._try, decode)
        self._suspects |= {
            record.partition: record.offset + 1
            for record in records
            if record.partition in self._suspects
        }
        return items

    def look(self) -> None:
        """Suspect no partition any more that is past its region."""
        if not self._suspects:
            return
        for partition, reached in list(self._suspects.items()):
            if self._tracker.is_revoked(partition) or reached >= self._tracker.suspected_until(
                partition
            ):
                del self._suspects[partition]
                log.info(
                    "%s: past the records that earlier starts may have died of",
                    partition,
                    extra=about(partition, reached),
                )
        if not any(map(self._is_tried, self._suspects)):
            self._attempt.close()

    def _is_tried(self, partition: Partition) -> bool:
        return self._tracker.failed_starts(partition) >= self._starts

    def _try(self, record: Record) -> Failure | None:
        partition = record.partition
        if (
            not self._is_tried(partition)
            or record.offset >= self._tracker.suspected_until(partition)
            or self._tracker.is_revoked(partition)
        ):
            return None
        failure = self._attempt(record)
        if failure is not None:
            self._tracker.suspect(partition, until=record.offset + 1 + self._region)
            log.error(
                "%s %d is isolated, stage %s: %s",
                partition,
                record.offset,
                failure.stage,
                failure.message,
                extra=about(partition, record.offset),
            )
        return failure


def guarded(
    decode: Decode,
    attempt: Attempt,
    tracker: OffsetTracker,
    *,
    starts: int,
    region_records: int,
) -> Decode:
    """A stage that decodes what is read again to rebuild a state.

    Where a partition's earlier starts got nowhere it may be the rebuilding that ended these, with a
    record that was isolated long ago. Then the next records are tried, `region_records` of them: a
    rebuilding goes on from what the store holds, so a record that ends it is one of the next.
    """

    progress: WeakKeyDictionary[Partition, tuple[int, int]] = WeakKeyDictionary()
    """The last offset seen of each, and how many records were tried before it in a row."""

    def tried(record: Record) -> Failure | None:
        partition = record.partition
        if tracker.failed_starts(partition) < starts:
            return None
        last, count = progress.get(partition, (-1, 0))
        if record.offset <= last:
            count = 0  # it is rebuilt again, from further back
        failure = None
        if count < region_records:
            failure = attempt(record)
            # They seldom come alone.
            count = 0 if failure is not None else count + 1
        progress[partition] = record.offset, count
        return failure

    return lambda records: _decode_but(records, tried, decode)


def _decode_but(
    records: Sequence[Record],
    fails: Callable[[Record], Failure | None],
    decode: Decode,
) -> list[Item]:
    """Decode records, and give those that fail before their failure."""
    failures = {record: failure for record in records if (failure := fails(record))}
    items = iter(decode([record for record in records if record not in failures]))
    return [
        _isolated(record, failures[record]) if record in failures else next(items)
        for record in records
    ]


def _isolated(record: Record, failure: Failure) -> Item:
    item = Item(record, None)
    item.failure = failure
    return item
