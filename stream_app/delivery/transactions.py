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
refusal each record is tried alone once, in transactions that are aborted; what is refused alone is
replaced (`refusals`), and then the transaction is made again. For a minute, what is refused of one
record for its size is believed of those that are no smaller (`refused_sizes`).

Redis is no part of the transaction: an aborted one leaves states written, and the fences in them
keep a record that is read again from being counted twice.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from stream_app.delivery.refusals import Refusals, apart, reason_to_wait
from stream_app.delivery.refused_sizes import RefusedSizes, length_of
from stream_app.delivery.transaction import Transaction
from stream_app.errors import FatalError, ServiceAwayError
from stream_app.kafka.bounded_calls import InTime
from stream_app.kafka.errors import is_dropped_with_another, is_for_size, too_large
from stream_app.kafka.offset_metadata import as_committed
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.kafka.producers import Producers, Refused
from stream_app.observer.observer import Observer
from stream_app.records.batch import Batch, Outgoing
from stream_app.records.partition import Partition
from stream_app.waiting.retry import Retry

__all__ = ["TransactionStage"]

log = logging.getLogger(__name__)

_TRIED_AT_ONCE: Final = 32
"""How many records are tried alone before it is seen whether one was refused."""
_SHARE_OF_TIMEOUT: Final = 1 / 3
"""After so much of its timeout nothing is added to a transaction that tries records: brokers abort one
that lasts too long, and its producer is fenced as if another had taken its place."""
_DROPPED_AT_MOST: Final = 8


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
        self._producers = producers
        self._transaction = Transaction(
            producers,
            InTime(timeout_seconds, observer, why_unacknowledged),
            timeout_seconds=timeout_seconds,
        )
        self._retry = retry
        self._refusals = refusals
        self._tracker = tracker
        self._interval = interval_seconds
        self._trial_seconds = timeout_seconds * _SHARE_OF_TIMEOUT
        self._group_metadata = group_metadata
        self._committed = committed
        self._look = look
        self._monotonic = monotonic
        self._refused_sizes = RefusedSizes(monotonic)
        self._refused_why = ""
        self._open: list[Batch] = []
        """Batches whose transaction is not committed."""
        self._is_doubtful = False
        """Whether the topics should be looked at before anything is published again."""
        self._due = math.inf
        self._dropped = 0
        """How many tries in a row reported only that records were dropped with another one."""

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
        return max(0.0, self._due - self._monotonic()) if self._open else None

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
            self._try_alone()
        transaction.begin()
        for batch in self._open[transaction.batches :]:
            if self._refused_sizes:
                batch.outgoing = [now for each in batch.outgoing for now in self._foreseen(each)]
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

    def _try_alone(self) -> None:
        """Try each record alone, in transactions that are aborted; replace what is refused.

        What was taken alone is not tried again (`Outgoing.fits`): the work grows with the records
        and with those refused, but not with both multiplied.
        """
        records = [each for batch in self._open for each in batch.outgoing]
        # Try small records first: a size that is refused then applies to the most other records.
        untried = deque(sorted((each for each in records if not each.fits), key=length_of))
        self._transaction.let_go_of_producer()
        instead: dict[int, Outgoing | None] = {}
        try:
            while untried:
                self._try_some_alone(untried, instead)
        finally:
            if instead:
                for batch in self._open:
                    batch.outgoing = list(_replaced(batch.outgoing, instead))
        if not instead and not self._producers.make_batches_smaller():
            for each in records:
                each.fits = False  # the topic takes less than it did
        self._transaction.let_go_of_producer()
        self._transaction.is_blamed = False

    def _try_some_alone(
        self, untried: deque[Outgoing], instead: dict[int, Outgoing | None]
    ) -> None:
        """Try records alone until one is refused; those tried in vain go back into `untried`."""
        transaction, some = self._transaction, list[Outgoing]()
        transaction.begin(alone=True)
        ends = self._monotonic() + self._trial_seconds
        while untried and not transaction.refused and self._monotonic() < ends:
            some = [untried.popleft() for _ in range(min(_TRIED_AT_ONCE, len(untried)))]
            transaction.produce(some)
            transaction.wait_for_reports()
        blamed, others = apart(transaction.abort())
        if others and not blamed:
            self._try_again_at_once(others)
        else:
            self._dropped = 0
        for outgoing, error in blamed:
            if is_for_size(error):
                self._refused_sizes.add(outgoing)
                self._refused_why = error.str()
            instead[id(outgoing)] = self._refusals(outgoing, error)
        again = [each for each in _replaced([*some, *untried], instead) if not each.fits]
        if blamed and self._refused_sizes:
            for each in again:
                if (foreseen := self._foreseen(each)) != [each]:
                    instead[id(each)] = next(iter(foreseen), None)
            again = sorted(_replaced(again, instead), key=length_of)
        untried.clear()
        untried.extend(again)

    def _foreseen(self, outgoing: Outgoing) -> list[Outgoing]:
        """The record, or what is published instead where its size was refused of another one."""
        now: Outgoing | None = outgoing
        why = f"its size was refused of another record: {self._refused_why}"
        while now is not None and now in self._refused_sizes:
            try:
                now = self._refusals(now, too_large(why))
            except FatalError:
                break  # which is not to be believed: it is tried
        return [] if now is None else [now]

    def _try_again_at_once(self, refused: Refused) -> None:
        """Raise why to wait, unless each record was only dropped because another one was refused.

        In that case the report on the other record came too late; the next try finds that record,
        and no broker is away.
        """
        self._dropped += 1
        if self._dropped > _DROPPED_AT_MOST or not all(
            is_dropped_with_another(error) for _, error in refused
        ):
            raise reason_to_wait(refused)

    def _was_committed(self) -> bool:
        """Ask the brokers whether the transaction whose answer was lost is committed."""
        self._transaction.ready()  # which first ends what its predecessor left open
        offsets = self._tracker.still_ours(self._open)
        found = self._committed(list(offsets))
        self._transaction.is_unsure = False
        return bool(offsets) and all(found.get(p, -1) >= offset for p, offset in offsets.items())


def _replaced(
    records: Sequence[Outgoing], instead: Mapping[int, Outgoing | None]
) -> Iterator[Outgoing]:
    for record in records:
        now: Outgoing | None = record
        while now is not None and id(now) in instead:
            now = instead[id(now)]
        if now is not None:
            yield now
