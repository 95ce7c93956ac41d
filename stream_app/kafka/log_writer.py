"""Writes records to topics as they are: value, key, headers and timestamp."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from stream_app.config.settings import Settings
from stream_app.features.events import LogRecord
from stream_app.kafka.brokers import open_brokers
from stream_app.kafka.errors import failure

__all__ = ["write_log"]

_POLL_SECONDS: Final = 0.1
_DELIVERY_MS: Final = 60_000
"""Nobody but the person who asked is waiting: after so long they are told."""

_librdkafka = logging.getLogger("librdkafka")


def write_log(
    settings: Settings, records: Iterable[LogRecord], *, in_order: bool
) -> dict[str, int]:
    """Send records in their order; return how many were acknowledged, by topic.

    `in_order`: each is acknowledged before the next is sent, so that also across partitions none can
    be read before an earlier one. Without, that holds within a partition alone.

    The partition is the key's. Raises what `errors.failure` makes of a refusal, and `RefusedError`
    for a topic that is unknown, before anything is sent.
    """
    records = list(records)
    with closing(open_brokers(settings, "stream-app-send")) as brokers:
        brokers.topics(record.topic for record in records)
    sent: Counter[str] = Counter()
    refused: list[tuple[str, KafkaError]] = []

    def report(topic: str, error: KafkaError | None, _message: Any = None) -> None:
        if error is None:
            sent[topic] += 1
        else:
            refused.append((topic, error))

    properties = {
        **settings.producer_properties(),
        "message.timeout.ms": _DELIVERY_MS,
        "delivery.report.only.error": False,
        **({"linger.ms": 0} if in_order else {}),
    }
    producer: Any = Producer(properties, logger=_librdkafka)
    for record in records:
        _produce(producer, record, partial(report, record.topic))
        while in_order and len(producer):
            producer.poll(_POLL_SECONDS)
        if refused:
            break
    while len(producer):
        producer.poll(_POLL_SECONDS)
    if refused:
        topic, error = refused[0]
        doing = f"sending to {topic}, after {sum(sent.values()):,} records were acknowledged,"
        raise failure(error, doing) from KafkaException(error)
    return dict(sent)


def _produce(producer: Any, record: LogRecord, report: Callable[..., None]) -> None:
    given = {} if record.timestamp is None else {"timestamp": round(record.timestamp * 1_000)}
    while True:
        try:
            producer.produce(
                record.topic,
                record.value,
                record.key,
                headers=list(record.headers),
                on_delivery=report,
                **given,
            )
        except BufferError:
            producer.poll(_POLL_SECONDS)  # the queue is full: let it drain
        except KafkaException as error:
            report(error.args[0])
            return
        else:
            producer.poll(0)
            return
