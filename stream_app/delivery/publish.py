"""Stage publish: predictions and dead letters, written and acknowledged before anything else.

Two ways to publish have one shape, `Publishing`: `PublishStage` here, at least once, and
`stream_app.delivery.transactions.TransactionStage`, exactly once for consumers that read committed records.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from confluent_kafka import Producer

from stream_app.delivery.refusals import Refusals, apart, are_batches_too_large, reason_to_wait
from stream_app.errors import RefusedError, ServiceAwayError, StoppingError
from stream_app.kafka.errors import unsent
from stream_app.kafka.producers import (
    PRODUCER_FAILURES,
    Producers,
    Refused,
    cause_of,
    died,
    meaning,
    produce,
)
from stream_app.observer.events import WaitingBegan, WaitingEnded
from stream_app.observer.observer import Observer
from stream_app.records.batch import Batch, Outgoing
from stream_app.records.partition import Partition
from stream_app.waiting.retry import Retry

__all__ = ["PublishStage", "Publishing"]

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 5
"""How long acknowledgements are waited for before the topics are looked at, and looked at again."""


class Publishing(Protocol):
    """What the pipeline asks of a way to publish; every call is made on the deliver thread."""

    commits_offsets: bool
    """Whether the offsets of a finished batch are committed already, with its predictions."""

    def check(self) -> None:
        """See whether it may publish, before the group is joined; raises as a publication does."""

    def __call__(self, batch: Batch) -> None:
        """Publish `batch.outgoing`, or what goes out instead of what the brokers refuse.

        Raises `StoppingError` if told to stop before the end, and `FatalError`.
        """

    def finish(self, batch: Batch) -> list[Batch]:
        """Take note that the batch's state is written; return the batches finished now."""

    def flush(self) -> list[Batch]:
        """Finish what `finish` put off; return the batches finished now."""

    @property
    def put_off_seconds(self) -> float | None:
        """How long until `flush` is due; None where nothing was put off."""

    def suspend(self) -> None:
        """A wait for another service begins: leave nothing open meanwhile."""

    def abandon(self) -> list[Batch]:
        """Return the batches that were put off and will not be finished by this process."""

    def close(self) -> None:
        """Wait a moment for what is under way, then let go."""


class PublishStage:
    """Publishes a batch's records and returns when every one is acknowledged.

    The producer is idempotent, asks all in-sync replicas and never gives a record up by itself, so
    while brokers are away librdkafka waits and goes on. What it does give up is tried again here,
    unless the record itself is refused (`Refusals`). A producer that dies of a fatal error is
    replaced, and its successor publishes the same bytes.
    """

    commits_offsets = False

    def __init__(
        self,
        producers: Producers,
        retry: Retry,
        refusals: Refusals,
        *,
        has_ended: Callable[[Partition], bool],
        look: Callable[[], None],
        why_unacknowledged: Callable[[], str | None] = lambda: None,
        stopping: Callable[[], bool],
        observer: Observer,
    ) -> None:
        """`has_ended` says of an assignment whether it is over.

        `look` looks at the topics out; raises `ServiceAwayError`, `RefusedError` or `FatalError`.
        `why_unacknowledged` finds out why records are not acknowledged, if it can.
        """
        self._producers = producers
        self._made: dict[Callable[[], Producer], Producer] = {}
        self._retry = retry
        self._refusals = refusals
        self._has_ended = has_ended
        self._look = look
        self._why_unacknowledged = why_unacknowledged
        self._stopping = stopping
        self._observer = observer
        self._is_doubtful = False
        """Whether the topics should be looked at before anything is published again."""

    def check(self) -> None:
        """Nothing is needed but the topics."""

    def __call__(self, batch: Batch) -> None:
        """Publish `batch.outgoing`; raises `StoppingError` if told to stop before the end."""
        if batch.outgoing:
            # Every try takes only what the one before it was refused.
            pending = list(batch.outgoing)
            self._retry("kafka", lambda: self._publish(batch, pending))

    def _publish(self, batch: Batch, pending: list[Outgoing]) -> None:
        """Publish `pending`, which afterwards holds what is still to be published."""
        self._leave_out_what_ended(batch, pending)
        if self._is_doubtful:
            self._look()
            self._is_doubtful = False
        batching, alone = self._producers.batching, self._producers.alone
        blamed, others = apart(self._try(batching, pending))
        suspects = [outgoing for outgoing, _ in blamed]
        while suspects:
            pending[:] = [*(outgoing for outgoing, _ in others), *suspects]
            refused = self._try(alone, suspects)
            if are_batches_too_large(blamed) and self._producers.make_batches_smaller():
                self._made.pop(batching, None)
            blamed, more = apart(refused)
            others += more
            instead = [self._refusals(outgoing, error) for outgoing, error in blamed]
            suspects = [outgoing for outgoing in instead if outgoing is not None]
            blamed = []
        pending[:] = [outgoing for outgoing, _ in others]
        if others:
            raise reason_to_wait(others)

    def _leave_out_what_ended(self, batch: Batch, pending: list[Outgoing]) -> None:
        """Drop what came of partitions that are no longer ours: their next owner publishes it."""
        ended = {partition for partition in batch.ends if self._has_ended(partition)}
        if not ended:
            return
        ours = [each for each in pending if each.source not in ended]
        left_out = {id(each.item) for each in pending} - {id(each.item) for each in ours}
        pending[:] = ours
        batch.items = [item for item in batch.items if id(item) not in left_out]

    def _try(self, make: Callable[[], Producer], records: Sequence[Outgoing]) -> Refused:
        """Publish records by a producer of one kind; return those that were refused."""
        if make not in self._made:
            self._made[make] = make()
        producer = self._made[make]
        refused: Refused = []
        try:
            produce(producer, records, refused, self._stopping)
            self._wait_for(producer)
        except PRODUCER_FAILURES as failed:
            # One of its reports may be lost, so all is published once more.
            self._replace(make, str(cause_of(failed) or failed))
            raise meaning(failed) from failed
        except RefusedError:
            self._is_doubtful = True
            del self._made[make]  # and what waits in it: all is published once more
            raise
        fatal = [error for _, error in refused if died(error)]
        if fatal:
            self._replace(make, fatal[0].str())
            again = unsent(f"the producer failed: {fatal[0].str()}")
            return [(outgoing, again) for outgoing, _ in refused]
        return refused

    def _replace(self, make: Callable[[], Producer], why: str) -> None:
        log.warning("the producer is replaced, its successor publishes the same bytes: %s", why)
        self._made.pop(make, None)

    def _wait_for(self, producer: Producer) -> None:
        """Wait until all is reported on; raises what `look` says of the topics meanwhile."""
        seconds, is_done = 0, False
        try:
            while producer.flush(1.0):
                if self._stopping():
                    raise StoppingError("stopped while waiting for acknowledgements")
                if not seconds:
                    self._observer.tell(WaitingBegan("kafka", "records are not acknowledged"))
                seconds += 1
                if seconds % _LOOK_SECONDS == 0:
                    self._look_meanwhile()
            is_done = True
        except RefusedError:
            seconds = 0  # the wait goes on
            raise
        finally:
            if seconds:
                self._observer.tell(WaitingEnded("kafka", is_given_up=not is_done))

    def _look_meanwhile(self) -> None:
        """Look at the topics now: librdkafka would notice half a minute later that one is gone."""
        try:
            self._look()
        except RefusedError:
            raise
        except ServiceAwayError as error:
            log.debug("while acknowledgements are waited for: %s", error)
            return
        if why := self._why_unacknowledged():
            self._observer.tell(WaitingBegan("kafka", why))

    def finish(self, batch: Batch) -> list[Batch]:
        """Nothing is put off, so the batch is finished."""
        return [batch]

    def flush(self) -> list[Batch]:
        """Nothing was put off."""
        return []

    @property
    def put_off_seconds(self) -> float | None:
        """None: nothing is put off."""
        return None

    def suspend(self) -> None:
        """Nothing is open."""

    def abandon(self) -> list[Batch]:
        """Nothing was put off."""
        return []

    def close(self) -> None:
        """Wait a moment for what is under way, then let go."""
        for producer in self._made.values():
            try:
                producer.flush(1.0)
            except PRODUCER_FAILURES as failed:
                log.warning("the producer failed while the worker stopped: %s", failed)
