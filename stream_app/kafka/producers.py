"""Producers, and how records are handed to one.

A refused batch says nothing of its records: librdkafka reports the code for each of them, however
small it is. So a record that may be to blame is tried by a producer whose batches hold one record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream_app.errors import RefusedError, StoppingError
from stream_app.kafka.errors import (
    Kind,
    beyond,
    error_of,
    failure,
    is_fatal,
    is_for_size,
    stands_for_another,
    verdict,
)
from stream_app.records.batch import Outgoing

__all__ = ["PRODUCER_FAILURES", "Producers", "Refused", "cause_of", "died", "meaning", "produce"]

log = logging.getLogger(__name__)

_librdkafka = logging.getLogger("librdkafka")

#: Records that were refused, and why.
Refused = list[tuple[Outgoing, KafkaError]]

#: What librdkafka's calls raise where the producer has died. The Python client may leave the
#: KafkaException pending while it calls back; then Python raises a SystemError instead, and the
#: delivery report that was under way is lost.
PRODUCER_FAILURES: Final = (KafkaException, SystemError)

_BATCH_BYTES: Final = 1_000_000
"""librdkafka's own `batch.size`."""
_LEAST_BATCH_BYTES: Final = 4_096
"""Below, a batch holds a record or two: then it may as well hold one."""


class Producers:
    """Makes the producers of a worker."""

    def __init__(
        self, properties: Mapping[str, Any], make: Callable[..., Producer] = Producer
    ) -> None:
        """`properties`: librdkafka's."""
        self._properties = dict(properties)
        self._make = make
        self._batch_bytes = int(self._properties.get("batch.size", _BATCH_BYTES))

    def batching(self) -> Producer:
        """A producer for everything. It tells of refusals alone, `Outgoing.fits` is not set."""
        return self._make({**self._properties, "batch.size": self._batch_bytes}, logger=_librdkafka)

    def alone(self) -> Producer:
        """A producer that sends each record by itself, and tells of each (`Outgoing.fits`)."""
        properties = {
            **self._properties,
            "batch.num.messages": 1,
            "delivery.report.only.error": False,
        }
        if "transactional.id" not in properties:
            # An idempotent producer begins anew after each refusal, which takes it 50 ms.
            properties["enable.idempotence"] = False
            properties.pop("enable.gapless.guarantee", None)  # which asks for idempotence
        return self._make(properties, logger=_librdkafka)

    def make_batches_smaller(self) -> bool:
        """Make smaller batches from the next producer on; false where they are as small as can be.

        For brokers that take each record of a batch, but not the batch.
        """
        if self._batch_bytes == 1:
            return False
        smaller = self._batch_bytes // 4
        self._batch_bytes = smaller if smaller >= _LEAST_BATCH_BYTES else 1
        log.warning(
            "the brokers refuse batches that are larger than max.message.bytes of a topic; "
            "producer.batch.size is %d from now on",
            self._batch_bytes,
        )
        return True


def produce(
    producer: Producer,
    records: Sequence[Outgoing],
    refused: Refused,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Hand records to a producer; `refused` gets those refused now or when they are reported on.

    Raises one of `PRODUCER_FAILURES` where the producer died, and `StoppingError`.
    """

    def report(outgoing: Outgoing, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            outgoing.fits = True
        else:
            refused.append((outgoing, error))

    send: Any = producer.produce
    for outgoing in records:
        has_drained = False
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
                if has_drained:
                    refused.append((outgoing, beyond("producer.queue.buffering.max.kbytes")))
                    break
                if stopping():
                    raise StoppingError("stopped while waiting for acknowledgements") from None
                producer.poll(0.1)  # the queue is full: let it drain
                has_drained = len(producer) == 0
            except KafkaException as error:
                if died(error.args[0]):
                    raise
                why: KafkaError = error.args[0]
                # Said at once, in the brokers' words, by the producer itself.
                bound = "producer.message.max.bytes"
                refused.append((outgoing, beyond(bound) if is_for_size(why) else why))
                break


def cause_of(failed: BaseException) -> KafkaError | None:
    """The error behind one of `PRODUCER_FAILURES`, where it is told."""
    return error_of(failed) or (error_of(failed.__cause__) if failed.__cause__ else None)


def meaning(failed: BaseException) -> Exception:
    """What to raise where a producer died: another may do better, but not without a right."""
    error = cause_of(failed)
    if error is None or stands_for_another(error):
        return RefusedError("kafka", f"the producer failed: {failed}")
    if verdict(error).kind is Kind.PERMANENT:
        return failure(error, "publishing")
    return RefusedError("kafka", f"the producer failed: {error.str()}")


def died(error: KafkaError | None) -> bool:
    """Whether a producer whose call failed so will never publish again."""
    return error is None or is_fatal(error)
