"""Stage publish: predictions and dead letters, written and acknowledged before anything else.

Two ways to publish have one shape, `Publishing`: `PublishStage` here, at least once, and
`stream_app.transactions.TransactionStage`, exactly once for consumers that read committed records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream_app.dead_letters import PREFIX
from stream_app.errors import ServiceAwayError, StoppingError
from stream_app.logs import get_logger
from stream_app.outgoing import OURS
from stream_app.patience import Patience
from stream_app.records import Batch, Outgoing

__all__ = ["PublishStage", "Publishing", "Refused", "produce", "shrunk"]

log = get_logger(__name__)

#: A record that was refused, and why.
Refused = list[tuple[Outgoing, KafkaError]]


class Publishing(Protocol):
    """What the pipeline asks of a way to publish; every call is made on the deliver thread."""

    commits_offsets: bool
    """Whether the offsets of a finished batch are committed already, with its predictions."""

    def __call__(self, batch: Batch) -> None:
        """Publish `batch.outgoing`; raises `StoppingError` if told to stop before the end."""

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
    while brokers are away librdkafka waits and goes on. What it does give up is tried again here.
    """

    commits_offsets = False

    def __init__(
        self,
        make_producer: Callable[[], Producer],
        patience: Patience,
        *,
        stopping: Callable[[], bool],
        on_waiting: Callable[[str, bool, str], None],
    ) -> None:
        self._make_producer = make_producer
        self._producer = make_producer()
        self._patience = patience
        self._stopping = stopping
        self._on_waiting = on_waiting

    def __call__(self, batch: Batch) -> None:
        """Publish `batch.outgoing`; raises `StoppingError` if told to stop before the end."""
        pending = batch.outgoing
        if pending:
            # Every try takes only what the one before it was refused.
            self._patience("kafka", partial(self._publish, list(pending)))

    def _publish(self, pending: list[Outgoing]) -> None:
        refused: Refused = []
        produce(self._producer, pending, refused)
        self._flush()
        if refused:
            if any(error.fatal() for _, error in refused):
                # A fatal error ends an idempotent producer; its successor publishes the same bytes.
                self._producer = self._make_producer()
            pending[:] = [shrunk(outgoing, error) for outgoing, error in refused]
            code = refused[0][1]
            raise ServiceAwayError("kafka", f"{len(pending)} records refused: {code.str()}")

    def _flush(self) -> None:
        waited = False
        while self._producer.flush(1.0):
            if self._stopping():
                raise StoppingError("stopped while waiting for acknowledgements")
            if not waited:
                waited = True
                self._on_waiting("kafka", True, "records are not acknowledged")
        if waited:
            self._on_waiting("kafka", False, "")

    def finish(self, batch: Batch) -> list[Batch]:
        """It is: nothing is put off."""
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
        self._producer.flush(1.0)


def produce(producer: Producer, pending: Sequence[Outgoing], refused: Refused) -> None:
    """Hand records to a producer; `refused` gets those refused now or when they are reported on."""

    def report(outgoing: Outgoing, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            refused.append((outgoing, error))

    send: Any = producer.produce
    for outgoing in pending:
        while True:
            try:
                send(
                    outgoing.topic,
                    outgoing.value,
                    outgoing.key,
                    headers=outgoing.headers,
                    on_delivery=partial(report, outgoing),
                )
                break
            except BufferError:
                producer.poll(0.1)  # the queue is full: let it drain
            except KafkaException as error:
                refused.append((outgoing, error.args[0]))
                break


def shrunk(outgoing: Outgoing, error: KafkaError) -> Outgoing:
    """What to publish in place of a refused record: itself, or less of it if it was too large."""
    if error.code() != KafkaError.MSG_SIZE_TOO_LARGE:
        return outgoing
    if outgoing.value is not None:
        # Even its dead letter does not fit: say how much was left out, and go on.
        size = str(len(outgoing.value)).encode()
        headers = [*outgoing.headers, (f"{PREFIX}value-omitted-bytes", size)]
        log.error("a record for %s is too large; published without value", outgoing.topic)
        return Outgoing(outgoing.topic, outgoing.key, None, headers, outgoing.source)
    ours = [h for h in outgoing.headers if h[0].startswith(PREFIX) or h[0] in OURS]
    log.error("a record for %s is too large; published without headers", outgoing.topic)
    return Outgoing(outgoing.topic, None, None, ours, outgoing.source)
