"""Which record is to blame that a transaction is refused: each is tried alone, once.

That happens in transactions that are aborted. What is refused alone is replaced (`refusals`). For a
minute, what is refused of one record for its size is believed of those that are no smaller
(`refused_sizes`).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from stream_app.delivery.refusals import Refusals, apart, reason_to_wait
from stream_app.delivery.refused_sizes import RefusedSizes, length_of
from stream_app.delivery.transaction import Transaction
from stream_app.errors import FatalError
from stream_app.kafka.errors import is_dropped_with_another, is_for_size, too_large
from stream_app.kafka.producers import Refused
from stream_app.records.batch import Batch, Outgoing

__all__ = ["OneByOne"]

_TRIED_AT_ONCE: Final = 32
"""How many records are tried alone before it is seen whether one was refused."""
_SHARE_OF_TIMEOUT: Final = 1 / 3
"""After so much of its timeout nothing is added to a transaction that tries records: brokers abort one
that lasts too long, and its producer is fenced as if another had taken its place."""
_DROPPED_AT_MOST: Final = 8


class OneByOne:
    """Tries records alone, and remembers for a while what was refused for its size."""

    def __init__(
        self,
        transaction: Transaction,
        refusals: Refusals,
        *,
        make_batches_smaller: Callable[[], bool],
        timeout_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timeout_seconds`: after so long the brokers abort a transaction by themselves.

        `make_batches_smaller` is called where nothing is refused alone; it says whether it could.
        """
        self._transaction = transaction
        self._refusals = refusals
        self._make_batches_smaller = make_batches_smaller
        self._trial_seconds = timeout_seconds * _SHARE_OF_TIMEOUT
        self._monotonic = monotonic
        self._refused_sizes = RefusedSizes(monotonic)
        self._refused_why = ""
        self._dropped = 0
        """How many tries in a row reported only that records were dropped with another one."""

    def foreseen(self, records: list[Outgoing]) -> list[Outgoing]:
        """The records, those replaced whose size was refused of another one."""
        if not self._refused_sizes:
            return records
        return [now for each in records for now in self._instead_of(each)]

    def __call__(self, batches: Sequence[Batch]) -> None:
        """Try each record of batches whose transaction was refused; replace what is refused.

        What was taken alone is not tried again (`Outgoing.fits`): the work grows with the records
        and with those refused, but not with both multiplied.
        """
        records = [each for batch in batches for each in batch.outgoing]
        # Try small records first: a size that is refused then applies to the most other records.
        untried = deque(sorted((each for each in records if not each.fits), key=length_of))
        self._transaction.let_go_of_producer()
        instead: dict[int, Outgoing | None] = {}
        try:
            while untried:
                self._try_some(untried, instead)
        finally:
            if instead:
                for batch in batches:
                    batch.outgoing = list(_replaced(batch.outgoing, instead))
        if not instead and not self._make_batches_smaller():
            for each in records:
                each.fits = False  # the topic takes less than it did
        self._transaction.let_go_of_producer()
        self._transaction.is_blamed = False

    def _try_some(self, untried: deque[Outgoing], instead: dict[int, Outgoing | None]) -> None:
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
                if (foreseen := self._instead_of(each)) != [each]:
                    instead[id(each)] = next(iter(foreseen), None)
            again = sorted(_replaced(again, instead), key=length_of)
        untried.clear()
        untried.extend(again)

    def _instead_of(self, outgoing: Outgoing) -> list[Outgoing]:
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


def _replaced(
    records: Sequence[Outgoing], instead: Mapping[int, Outgoing | None]
) -> Iterator[Outgoing]:
    for record in records:
        now: Outgoing | None = record
        while now is not None and id(now) in instead:
            now = instead[id(now)]
        if now is not None:
            yield now
