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

Redis is no part of the transaction: an aborted one leaves states written, and the fences in them
keep a record that is read again from being counted twice.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from stream_app.commit import CommitStage
from stream_app.errors import FatalError, ServiceAwayError
from stream_app.logs import get_logger
from stream_app.offsets import as_committed
from stream_app.patience import Patience
from stream_app.publish import Refused, produce, shrunk
from stream_app.records import Batch, Partition

__all__ = ["TransactionStage"]

log = get_logger(__name__)

_GRACE_SECONDS = 1.0
_NAMED_SECONDS = 1.0
"""A call that takes longer is a wait for Kafka."""
_REFUSED_FOR_EVER = frozenset(
    {
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError.INVALID_TRANSACTION_TIMEOUT,
    }
)


class TransactionStage:
    """Publishes batches in transactions, see the module; its shape is `publish.Publishing`."""

    commits_offsets = True

    def __init__(
        self,
        make_producer: Callable[[], Producer],
        patience: Patience,
        commit: CommitStage,
        *,
        interval_seconds: float,
        timeout_seconds: float,
        group_metadata: Callable[[], Any],
        committed: Callable[[Sequence[Partition]], Mapping[Partition, int]],
        on_waiting: Callable[[str, bool, str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timeout_seconds`: after so long the brokers abort a transaction by themselves.

        `committed` asks the brokers for the group's offsets; raises `ServiceAwayError`.
        """
        self._make_producer = make_producer
        self._producer: Producer | None = None
        self._patience = patience
        self._commit = commit
        self._interval = interval_seconds
        self._timeout = timeout_seconds
        self._group_metadata = group_metadata
        self._committed = committed
        self._on_waiting = on_waiting
        self._monotonic = monotonic
        self._open: list[Batch] = []
        """Batches whose transaction is not committed."""
        self._produced = 0
        """How many of them are in the transaction that is open now."""
        self._begun = False
        self._must_abort = False
        self._unsure = False
        """A commit was asked for and its answer is not known."""
        self._refused: Refused = []
        self._due = math.inf

    def __call__(self, batch: Batch) -> None:
        """Publish the batch's records in the transaction that is open, or in a new one."""
        if not self._open:
            self._due = self._monotonic() + self._interval
        self._open.append(batch)
        self._patience("kafka", lambda: self._attempt(self._catch_up))

    def finish(self, batch: Batch) -> list[Batch]:  # noqa: ARG002 - its shape is `Publishing`
        """Commit the transaction when its interval is over; return the batches it held."""
        return self.flush() if self._monotonic() >= self._due else []

    def flush(self) -> list[Batch]:
        """Commit the open transaction; return the batches it held."""
        if not self._open:
            return []
        self._patience("kafka", lambda: self._attempt(self._commit_open))
        done, self._open = self._open, []
        self._produced = 0
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
        if self._begun:
            self._must_abort = True
            try:
                self._attempt(self._abort)
            except ServiceAwayError as error:
                log.debug("the open transaction is not aborted yet: %s", error)

    def abandon(self) -> list[Batch]:
        """Return the batches that will not be finished by this process."""
        abandoned, self._open = self._open, []
        return abandoned

    def close(self) -> None:
        """Abort what is open; the brokers would, after `transaction_timeout_seconds`."""
        self.suspend()

    # Steps, each of which may be tried again from its beginning.

    def _catch_up(self) -> Producer:
        """See to it that the open transaction holds all batches."""
        producer = self._ready_producer()
        if self._must_abort:
            self._abort()
        if not self._begun:
            producer.begin_transaction()
            self._begun = True
        for batch in self._open[self._produced :]:
            produce(producer, batch.outgoing, self._refused)
            self._produced += 1
        self._check_refused()
        return producer

    def _commit_open(self) -> None:
        # Nothing else is committed meanwhile: being late, it would take this back.
        with self._commit.exclusive:
            offsets = self._commit.still_ours(self._open)
            if not self._was_committed_after_all():
                offsets = self._send_and_commit()
            for partition, offset in offsets.items():
                self._commit.committed(partition, offset)

    def _was_committed_after_all(self) -> bool:
        """Whether a commit whose answer was lost was one."""
        if not self._unsure or self._must_abort:
            return False
        if self._begun and self._producer is not None:
            self._end(self._producer)  # asked again, it tells how its commit went
            return True
        return self._was_committed()

    def _send_and_commit(self) -> dict[Partition, int]:
        self._leave_out_what_ended()
        producer = self._catch_up()
        # Step 2 before step 3, see the module.
        metadata = self._group_metadata()
        offsets = self._commit.still_ours(self._open)
        if self._leave_out_what_ended():
            raise ServiceAwayError("kafka", "partitions were given away; publishing without them")
        producer.flush(self._timeout)
        self._check_refused()
        places = as_committed(offsets)
        self._in_time(lambda: producer.send_offsets_to_transaction(places, metadata, self._timeout))
        self._unsure = True
        self._end(producer)
        return offsets

    def _end(self, producer: Producer) -> None:
        self._in_time(lambda: producer.commit_transaction(self._timeout))
        self._begun = self._unsure = False

    def _abort(self) -> None:
        producer = self._producer
        if self._begun and producer is not None:
            self._in_time(lambda: producer.abort_transaction(self._timeout))
        self._begun = self._must_abort = self._unsure = False
        self._produced = 0
        self._refused = []  # reports on what was aborted may still come, into the old one

    def _leave_out_what_ended(self) -> bool:
        """Drop what came of partitions that are no longer ours; return whether there was any."""
        found = False
        for batch in self._open:
            if any(partition.ended for partition in batch.ends):
                kept = [o for o in batch.outgoing if o.source is None or not o.source.ended]
                if len(kept) < len(batch.outgoing):
                    found = True
                    batch.outgoing = kept
                batch.items = [i for i in batch.items if not i.record.partition.ended]
        if found:
            self._must_abort = self._begun
        return found

    def _check_refused(self) -> None:
        if not self._refused:
            return
        for outgoing, error in self._refused:
            instead = shrunk(outgoing, error)
            if instead is not outgoing:
                for batch in self._open:
                    batch.outgoing = [instead if o is outgoing else o for o in batch.outgoing]
        code = self._refused[0][1]
        self._must_abort = True
        raise ServiceAwayError("kafka", f"{len(self._refused)} records refused: {code.str()}")

    def _was_committed(self) -> bool:
        """Ask the brokers whether the transaction whose answer was lost is committed."""
        self._ready_producer()  # which first ends what its predecessor left open
        offsets = self._commit.still_ours(self._open)
        found = self._committed(list(offsets))
        self._unsure = False
        return bool(offsets) and all(found.get(p, -1) >= offset for p, offset in offsets.items())

    def _ready_producer(self) -> Producer:
        if self._producer is None:
            producer = self._make_producer()
            self._in_time(lambda: producer.init_transactions(self._timeout))
            self._producer = producer
        return self._producer

    def _in_time(self, call: Callable[[], object]) -> None:
        """Make a call that librdkafka does not always return from in the time it is given.

        Where the coordinator goes away, `send_offsets_to_transaction` may wait for ever (librdkafka
        issues 5456 and 5511). What takes longer than a transaction may last has nothing left to
        commit, so the producer is left to the call, and a new one takes its place.
        """
        answer: Future[None] = Future()

        def run() -> None:
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                answer.set_exception(error)
            else:
                answer.set_result(None)

        threading.Thread(target=run, name="transaction", daemon=True).start()
        limit = self._timeout + _GRACE_SECONDS
        try:
            answer.result(min(_NAMED_SECONDS, limit))
        except TimeoutError:
            pass
        else:
            return
        self._on_waiting("kafka", True, "a transaction is not answered")
        try:
            answer.result(max(0.0, limit - _NAMED_SECONDS))
        except TimeoutError:
            self._replace_producer("it does not answer")
            raise ServiceAwayError("kafka", "a transaction is not answered") from None
        finally:
            self._on_waiting("kafka", False, "")

    def _replace_producer(self, why: str) -> None:
        """A new producer ends what this one left open, and publishes the same bytes."""
        log.warning("the producer is replaced: %s", why)
        self._producer = None
        self._begun = self._must_abort = False
        self._produced = 0
        self._refused = []

    def _attempt(self, step: Callable[[], Any]) -> None:
        """Take a step; raise `ServiceAwayError` where it may be taken again."""
        try:
            step()
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            if error.code() in _REFUSED_FOR_EVER:
                raise FatalError(f"kafka refuses the transaction: {error.str()}") from failure
            if error.txn_requires_abort():
                self._must_abort = True
            elif not error.retriable():
                # A fatal error, or a state that was not foreseen.
                self._replace_producer(error.str())
            raise ServiceAwayError("kafka", error.str()) from failure
