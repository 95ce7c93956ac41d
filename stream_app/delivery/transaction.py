"""A worker's Kafka transaction: one after the other, by a producer that is replaced when it dies."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from stream_app.delivery.refusals import apart, reason_to_wait
from stream_app.errors import RefusedError, ServiceAwayError
from stream_app.kafka.bounded_calls import InTime
from stream_app.kafka.errors import Kind, failure, verdict
from stream_app.kafka.producers import (
    PRODUCER_FAILURES,
    Producers,
    Refused,
    cause_of,
    died,
    meaning,
    produce,
)
from stream_app.records.batch import Outgoing

__all__ = ["Transaction"]

log = logging.getLogger(__name__)

_FLUSH_SECONDS: Final = 0.05
"""After a refusal the other records of a transaction are not sent: no use to wait for them."""
_ABORT_SECONDS: Final = 0.5


class Transaction:
    """What is open now, if anything. Every method but `attempt` raises as librdkafka does."""

    def __init__(self, producers: Producers, in_time: InTime, *, timeout_seconds: float) -> None:
        """`timeout_seconds`: after so long the brokers abort a transaction by themselves."""
        self._producers = producers
        self._in_time = in_time
        self._timeout = timeout_seconds
        self._producer: Producer | None = None
        self.is_open = False
        self.must_abort = False
        self.is_unsure = False
        """A commit was asked for and its answer is not known."""
        self.is_blamed = False
        """A record may be why a transaction was refused."""
        self.batches = 0
        """How many batches it holds."""
        self.refused: Refused = []
        self._unexplained = 0
        """How many transactions in a row failed and nothing said why."""

    def ready(self, *, alone: bool = False) -> Producer:
        """A producer, which has ended what its predecessor left open. `alone`: it makes no batches."""
        if self._producer is None:
            producer = self._producers.alone() if alone else self._producers.batching()
            self._call(lambda: producer.init_transactions(self._timeout))
            self._producer = producer
        return self._producer

    def begin(self, *, alone: bool = False) -> None:
        """Open one where none is open."""
        producer = self.ready(alone=alone)
        if not self.is_open:
            producer.begin_transaction()
            self.is_open = True

    def produce(self, records: Sequence[Outgoing]) -> None:
        """Put records into it."""
        produce(self.ready(), records, self.refused)

    def wait_for_reports(self) -> None:
        """Return when all is acknowledged, or a record is refused; raises `ServiceAwayError`."""
        producer = self.ready()
        deadline = time.monotonic() + self._timeout

        def wait() -> None:
            while producer.flush(_FLUSH_SECONDS) and not self.refused:
                if time.monotonic() > deadline:
                    self.must_abort = True
                    raise ServiceAwayError("kafka", "records are not acknowledged")

        self._call(wait)

    def check_refused(self) -> None:
        """Raise what is to be done where a record was refused."""
        if not self.refused:
            return
        self.must_abort = True
        self.ready().poll(_FLUSH_SECONDS)  # why it failed may not have been reported yet
        blamed, others = apart(self.refused)
        if blamed:
            self.is_blamed = True
            raise ServiceAwayError("kafka", f"a record is refused: {blamed[0][1].str()}")
        # A record that was not sent, because the transaction had failed before, gives no reason.
        reasons = [each for each in others if verdict(each[1]).kind is not Kind.BUG]
        if reasons:
            raise reason_to_wait(reasons)
        # The abort may bring the reason. From the second transaction in a row that fails without
        # one, the failure counts as a refusal.
        self._unexplained += 1
        wait = RefusedError if self._unexplained > 1 else ServiceAwayError
        raise wait("kafka", f"the transaction failed: {others[0][1].str()}")

    def send_offsets(self, places: Sequence[Any], metadata: object) -> None:
        """Put the group's offsets into it."""
        producer: Any = self.ready()
        self._call(lambda: producer.send_offsets_to_transaction(places, metadata, self._timeout))

    def commit(self) -> None:
        """Commit it. Called again after a failure, it tells how that commit went."""
        producer = self.ready()
        self.is_unsure = True
        self._call(lambda: producer.commit_transaction(self._timeout))
        self.is_open = self.is_unsure = False
        self.batches = self._unexplained = 0

    def abort(self) -> Refused:
        """Abort what is open; return what was refused in it."""
        producer, refused = self._producer, self.refused
        if self.is_open and producer is not None:
            self._call(lambda: self._abort(producer))
        self._forget()
        self.is_unsure = False
        return refused

    def _abort(self, producer: Producer) -> None:
        # Records that librdkafka was about to send when it dropped all others stay in it, unsent,
        # until a second abort (2.16; one in some hundreds of refused records).
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                producer.abort_transaction(min(_ABORT_SECONDS, self._timeout))
            except KafkaException as failed:
                if not failed.args[0].retriable() or time.monotonic() > deadline:
                    raise
            else:
                return

    def let_go_of_producer(self) -> None:
        """Have the next step make another producer."""
        self._producer = None
        self._forget()

    def attempt(self, step: Callable[[], Any]) -> None:
        """Take a step; raise `ServiceAwayError` where it may be taken again."""
        try:
            step()
        except PRODUCER_FAILURES as failed:
            error = cause_of(failed)
            if error is not None and error.txn_requires_abort():
                self.must_abort = True
            elif died(error) or not (error and error.retriable()):
                # A fatal error, or a state that was not foreseen.
                log.warning("the producer is replaced: %s", failed)
                self.let_go_of_producer()
            raise self._meaning(error, failed) from failed

    def _meaning(self, error: KafkaError | None, failed: BaseException) -> Exception:
        kind = Kind.BUG if error is None else verdict(error).kind
        if error is None or died(error) or kind is Kind.BUG:
            return meaning(failed)
        if kind is Kind.RECORD:
            self.is_blamed = True
            return ServiceAwayError("kafka", f"a record is refused: {error.str()}")
        return failure(error, "the transaction")

    def _call(self, call: Callable[[], object]) -> None:
        """Make a call; what takes longer than a transaction may last is left to its producer."""
        try:
            self._in_time(call)
        except TimeoutError:
            log.warning("the producer is replaced: it does not answer")
            self.let_go_of_producer()
            raise ServiceAwayError("kafka", "a transaction is not answered") from None

    def _forget(self) -> None:
        if apart(self.refused)[0]:
            self.is_blamed = True
            self._unexplained = 0
        self.is_open = self.must_abort = False
        self.batches = 0
        self.refused = []  # reports on what was aborted may still come, into the old one
