"""The events both contenders work on: the year's flights, in order, as many as asked for."""

from __future__ import annotations

from typing import Final

from confluent_kafka import Producer

from features.flights import usecase
from features.flights.data.year import Record, records

__all__ = ["all_topics", "load", "publish"]

_OUTPUT_PARTITIONS: Final = 8


def all_topics() -> dict[str, int]:
    """Every topic that a worker of the flights reads or writes, with its number of partitions."""
    outputs = (usecase.predictions_topic, usecase.dead_letters_topic)
    events = {topic.name: topic.partitions for topic in usecase.topics}
    return events | dict.fromkeys(outputs, _OUTPUT_PARTITIONS)


def load(count: int) -> list[Record]:
    """`count` events from 1 December on; the month is repeated where it is too short."""
    loaded: list[Record] = []
    while len(loaded) < count:
        loaded += records(count=count - len(loaded))
    return loaded


def publish(bootstrap: str, workload: list[Record], *, sampled: float = 0.0) -> None:
    """Write all events to their topics and wait until they are acknowledged.

    `sampled`: the share of them whose header says that their trace is recorded.
    """
    every = round(1 / sampled) if sampled else 0
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "linger.ms": 20,
            # A backlog comes of records that were sent as they happened, not of one burst: left to
            # itself librdkafka would write thousands of one partition in a row.
            "batch.size": 65_536,
            "queue.buffering.max.messages": 500_000,
        }
    )
    for number, record in enumerate(workload, 1):
        headers: list[tuple[str, str | bytes | None]] = []
        if every and number % every == 0:
            headers.append(("traceparent", b"00-%032x-%016x-01" % (number, number)))
        while True:
            try:
                producer.produce(record.topic, record.value, record.key, headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()
