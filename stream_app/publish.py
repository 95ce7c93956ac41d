"""Stage publish: predictions and dead letters, written and acknowledged before anything else.

Bytes are made once, when the batch is computed; a batch tried again publishes the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from pydantic_core import to_json

from stream_app.dead_letters import PREFIX, DeadLetters
from stream_app.errors import ServiceAwayError, StoppingError
from stream_app.logs import get_logger
from stream_app.patience import Patience
from stream_app.records import Batch, Headers, Item, Outgoing

__all__ = ["FeatureLog", "OutgoingRecords", "PublishStage"]

log = get_logger(__name__)

_CONTENT_TYPE = ("content-type", b"application/json")
_OURS = frozenset(
    {"prediction-id", "source-topic", "source-partition", "source-offset", "content-type"}
    | {"state-ahead"}
)


class FeatureLog:
    """Publishes the row a prediction was made from, for a share of the predictions."""

    def __init__(self, topic: str, share: float, columns: Sequence[str]) -> None:
        """`share` from 0 to 1; which ones is a function of the source offset alone."""
        self._topic = topic
        self._share = share
        self._columns = columns

    def __call__(self, item: Item, prediction_id: str) -> Outgoing | None:
        """The logged row, or None for a prediction that is not sampled."""
        # Shifted before it is divided: the highest hashes would round to 1.
        if (item.digest >> 11) / 2**53 >= self._share:
            return None
        row = zip(self._columns, item.row or (), strict=True)
        value = {
            "prediction_id": prediction_id,
            "event_id": item.event.event_id,
            "columns": dict(row),
        }
        logged = to_json(value, inf_nan_mode="null")
        return Outgoing(self._topic, item.record.key, logged, [_CONTENT_TYPE])


class OutgoingRecords:
    """Turns the items of a batch into the records to publish."""

    def __init__(
        self,
        predictions_topic: str,
        dead_letters: DeadLetters,
        feature_log: FeatureLog | None = None,
    ) -> None:
        self._topic = predictions_topic
        self._dead_letter = dead_letters
        self._feature_log = feature_log

    def __call__(self, batch: Batch) -> None:
        """Fill `batch.outgoing`, in the order of the batch."""
        outgoing = batch.outgoing
        for item in batch.items:
            if item.failure is not None:
                outgoing.append(self._dead_letter(item))
            elif item.served is not None:
                prediction_id = _prediction_id(item)
                outgoing.append(self._prediction(item, prediction_id))
                if self._feature_log and (logged := self._feature_log(item, prediction_id)):
                    outgoing.append(logged)

    def _prediction(self, item: Item, prediction_id: str) -> Outgoing:
        served, event, record = item.served, item.event, item.record
        assert served is not None
        fresh = event.event_time - item.newest if item.newest > -math.inf else None
        value = to_json(
            {
                "prediction_id": prediction_id,
                "event_id": event.event_id,
                "event_time": event.event_time,
                **served.fields,
                "model": {"name": served.model, "version": served.version},
                "served_by": served.served_by,
                "degraded": served.degraded,
                "state_freshness_seconds": fresh,
            },
            inf_nan_mode="null",
        )
        headers: Headers = [
            ("prediction-id", prediction_id.encode()),
            ("source-topic", record.partition.topic.encode()),
            ("source-partition", b"%d" % record.partition.number),
            ("source-offset", b"%d" % record.offset),
            _CONTENT_TYPE,
        ]
        if item.ahead:
            headers.append(("state-ahead", b"true"))
        headers += [
            header
            for header in record.headers
            if header[0] not in _OURS and not header[0].startswith(PREFIX)
        ]
        return Outgoing(self._topic, record.key, value, headers)


def _prediction_id(item: Item) -> str:
    source = item.record.partition.source
    assert source is not None
    return f"{source.topic_id}-{source.partition}-{item.record.offset}"


class PublishStage:
    """Publishes a batch's records and returns when every one is acknowledged.

    The producer is idempotent, asks all in-sync replicas and never gives a record up by itself, so
    while brokers are away librdkafka waits and goes on. What it does give up is tried again here.
    """

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
        self._failed: list[tuple[Outgoing, KafkaError]] = []

    def __call__(self, batch: Batch) -> None:
        """Publish `batch.outgoing`; raises `StoppingError` if told to stop before the end."""
        pending = batch.outgoing
        if pending:
            # Every try takes only what the one before it was refused.
            self._patience("kafka", partial(self._publish, list(pending)))

    def _publish(self, pending: list[Outgoing]) -> None:
        self._failed.clear()
        produce = self._producer.produce
        for outgoing in pending:
            while True:
                try:
                    produce(
                        outgoing.topic,
                        outgoing.value,
                        outgoing.key,
                        headers=outgoing.headers,
                        on_delivery=partial(self._report, outgoing),
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)  # the queue is full: let it drain
                except KafkaException as error:
                    self._failed.append((outgoing, error.args[0]))
                    break
        self._flush()
        if self._failed:
            pending[:] = self._again(self._failed)
            if pending:
                code = self._failed[0][1]
                raise ServiceAwayError("kafka", f"{len(pending)} records refused: {code.str()}")

    def _report(self, outgoing: Outgoing, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._failed.append((outgoing, error))

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

    def _again(self, failed: Sequence[tuple[Outgoing, KafkaError]]) -> list[Outgoing]:
        if any(error.fatal() for _, error in failed):
            # A fatal error ends an idempotent producer; its successor publishes the same bytes.
            self._producer = self._make_producer()
        again = []
        for outgoing, error in failed:
            if error.code() != KafkaError.MSG_SIZE_TOO_LARGE:
                again.append(outgoing)
            elif outgoing.value is not None:
                # Even its dead letter does not fit: say how much was left out, and go on.
                size = str(len(outgoing.value)).encode()
                headers = [*outgoing.headers, (f"{PREFIX}value-omitted-bytes", size)]
                again.append(Outgoing(outgoing.topic, outgoing.key, None, headers))
                log.error("a record for %s is too large; published without value", outgoing.topic)
            else:
                ours = [h for h in outgoing.headers if h[0].startswith(PREFIX) or h[0] in _OURS]
                again.append(Outgoing(outgoing.topic, None, None, ours))
                log.error("a record for %s is too large; published without headers", outgoing.topic)
        return again

    def close(self) -> Any:
        """Wait a moment for what is under way, then let go."""
        return self._producer.flush(1.0)
