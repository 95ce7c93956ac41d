"""Stage publish, exactly once: predictions, dead letters and offsets in one Kafka transaction.

A transaction holds the batches of an interval. It is committed together with their offsets under
the consumer group's metadata (KIP-447), so a consumer that reads committed records sees either all
that came of a record and never anything of it again, or nothing yet.

The order of a transaction's end, on which that rests:

1. the records of its batches are produced, and their states written (`state`)
2. the group's generation is read, and only then
3. each partition must still be ours; what came of partitions that are not is left out, which
   takes a new transaction
4. the offsets are sent under that generation, and the transaction is committed

Brokers check member and generation, not who owns a partition. A partition that was ours at step 3
can be another worker's only in a later generation than that of step 2, whose commit they refuse.

A record that the brokers refuse would be refused for ever, and all others with it. So after such a
refusal each record is tried alone (`one_by_one`), and then the transaction is made again.

Redis is no part of the transaction: an aborted one leaves states written, and the fences in them
keep a record that is read again from being counted twice.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from stream_app.delivery.one_by_one import OneByOne
from stream_app.delivery.refusals import Refusals
from stream_app.delivery.transaction import Transaction
from stream_app.errors import FatalError, ServiceAwayError
from stream_app.kafka.bounded_calls import InTime
from stream_app.kafka.offset_metadata import as_committed
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.kafka.producers import Producers
from stream_app.observer.observer import Observer
from stream_app.records.batch import Batch
from stream_app.records.partition import Partition
from stream_app.waiting.retry import Retry

__all__ = ["TransactionStage"]

log = logging.getLogger(__name__)


class TransactionStage:
    """Publishes batches in transactions, see the module; its shape is `publish.Publishing`."""

    commits_offsets = True

    def __init__(
        self,
        producers: Producers,
        retry: Retry,
        refusals: Refusals,
        tracker: OffsetTracker,
        *,
        interval_seconds: float,
        timeout_seconds: float,
        group_metadata: Callable[[], Any],
        committed: Callable[[Sequence[Partition]], Mapping[Partition, int]],
        look: Callable[[], None],
        why_unacknowledged: Callable[[], str | None] = lambda: None,
        observer: Observer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timeout_seconds`: after so long the brokers abort a transaction by themselves.

        `committed` asks the brokers for the group's offsets, `look` looks at the topics out; both
        raise `ServiceAwayError`, `RefusedError` or `FatalError`. `why_unacknowledged` finds out why
        records are not acknowledged, if it can.
        """
        self._transaction = Transaction(
            producers,
            InTime(timeout_seconds, observer, why_unacknowledged),
            timeout_seconds=timeout_seconds,
        )
        self._one_by_one = OneByOne(
            self._transaction,
            refusals,
            make_batches_smaller=producers.make_batches_smaller,
            timeout_seconds=timeout_seconds,
            monotonic=monotonic,
        )
        self._retry = retry
        self._tracker = tracker
        self._interval = interval_seconds
        self._group_metadata = group_metadata
        self._committed = committed
        self._look = look
        self._monotonic = monotonic
        self._open: list[Batch] = []
        """Batches whose transaction is not committed."""
        self._is_doubtful = False
        """Whether the topics should be looked at before anything is published again."""
        self._due = math.inf

    def check(self) -> None:
        """See whether a transaction may be made at all; it ends what a predecessor left open."""
        self._attempt(self._transaction.ready)

    def __call__(self, batch: Batch) -> None:
        """Publish the batch's records in the transaction that is open, or in a new one."""
        if not self._open:
            self._due = self._monotonic() + self._interval
        self._open.append(batch)
        self._retry("kafka", lambda: self._attempt(self._catch_up))

    def finish(self, batch: Batch) -> list[Batch]:  # noqa: ARG002 - its shape is `Publishing`
        """Commit the transaction when its interval is over; return the batches it held."""
        return self.flush() if self._monotonic() >= self._due else []

    def flush(self) -> list[Batch]:
        """Commit the open transaction; return the batches it held."""
        if not self._open:
            return []
        self._retry("kafka", lambda: self._attempt(self._commit_open))
        done, self._open = self._open, []
        self._due = math.inf
        return done

    @property
    def put_off_seconds(self) -> float | None:
        """How long until the transaction's interval is over; None where none is open."""
        due = self._due  # read once: the thread that publishes sets it meanwhile
        return None if due == math.inf else max(0.0, due - self._monotonic())

    def suspend(self) -> None:
        """Abort the open transaction: it would time out, and block who reads committed records.

        What it held is published again with the next batch, or when it is committed.
        """
        if self._transaction.is_open:
            self._transaction.must_abort = True
            try:
                self._attempt(self._transaction.abort)
            except ServiceAwayError as error:
                log.debug("the open transaction is not aborted yet: %s", error)

    def abandon(self) -> list[Batch]:
        """Return the batches that will not be finished by this process."""
        abandoned, self._open = self._open, []
        self._due = math.inf
        return abandoned

    def close(self) -> None:
        """Abort what is open; the brokers would, after `transaction_timeout_seconds`."""
        try:
            self.suspend()
        except FatalError as error:
            log.info("the open transaction is left to the brokers: %s", error)

    # Steps, each of which may be tried again from its beginning.

    def _attempt(self, step: Callable[[], Any]) -> None:
        try:
            self._transaction.attempt(step)
        except ServiceAwayError:
            self._is_doubtful = True
            raise
        self._is_doubtful = False

    def _catch_up(self) -> None:
        """See to it that the open transaction holds all batches."""
        transaction = self._transaction
        if self._is_doubtful:
            self._look()
        self._leave_out_what_ended()
        if transaction.must_abort:
            transaction.abort()
        if transaction.is_blamed:
            self._one_by_one(self._open)
        transaction.begin()
        for batch in self._open[transaction.batches :]:
            batch.outgoing = self._one_by_one.foreseen(batch.outgoing)
            transaction.produce(batch.outgoing)
            transaction.batches += 1
        transaction.check_refused()

    def _commit_open(self) -> None:
        if self._transaction.is_blamed and not self._transaction.is_unsure:
            self._catch_up()  # which may take long, and must not hold up who waits for what follows
        # Nothing else is committed meanwhile: being late, it would take this back.
        with self._tracker.exclusive:
            offsets = self._tracker.still_ours(self._open)
            if not self._was_committed_after_all():
                offsets = self._send_and_commit()
            for partition, offset in offsets.items():
                self._tracker.committed(partition, offset)

    def _was_committed_after_all(self) -> bool:
        """Whether the commit whose answer was lost succeeded."""
        transaction = self._transaction
        if not transaction.is_unsure or transaction.must_abort:
            return False
        if transaction.is_open:
            transaction.commit()  # asked again, it tells how its commit went
            return True
        return self._was_committed()

    def _send_and_commit(self) -> dict[Partition, int]:
        self._catch_up()
        # Step 2 before step 3, see the module.
        metadata = self._group_metadata()
        offsets = self._tracker.still_ours(self._open)
        if self._leave_out_what_ended():
            raise ServiceAwayError("kafka", "partitions were given away; publishing without them")
        transaction = self._transaction
        transaction.wait_for_reports()
        transaction.check_refused()
        transaction.send_offsets(as_committed(offsets, self._tracker.notes), metadata)
        transaction.commit()
        return offsets

    def _leave_out_what_ended(self) -> bool:
        """Drop what came of partitions that are no longer ours; return whether there was any."""
        found = False
        for batch in self._open:
            if ended := {p for p in batch.ends if self._tracker.has_ended(p)}:
                kept = [o for o in batch.outgoing if o.source not in ended]
                if len(kept) < len(batch.outgoing):
                    found = True
                    batch.outgoing = kept
                batch.items = [i for i in batch.items if i.record.partition not in ended]
        if found:
            self._transaction.must_abort = self._transaction.is_open
        return found

    def _was_committed(self) -> bool:
        """Ask the brokers whether the transaction whose answer was lost is committed."""
        self._transaction.ready()  # which first ends what its predecessor left open
        offsets = self._tracker.still_ours(self._open)
        found = self._committed(list(offsets))
        self._transaction.is_unsure = False
        return bool(offsets) and all(found.get(p, -1) >= offset for p, offset in offsets.items())
