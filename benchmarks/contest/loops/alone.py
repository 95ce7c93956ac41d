"""The work alone: align, decode, state in memory, score and encode on one thread.

The records come as a consumer with the worker's settings was given them, which is not the order in which
they happened: reading them is over before anything is measured. Nothing is published and nothing kept.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from benchmarks.contest.surroundings import Surroundings, end_at_once_when_told
from benchmarks.in_process import work_on
from features.flights import usecase
from stream_app.config.settings import Settings
from stream_app.features.stores import Source
from stream_app.records.chunk import Chunk
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId
from stream_app.records.record import Record

__all__ = ["polled"]

_POLL_RECORDS: Final = 4_096


def polled(surroundings: Surroundings) -> tuple[list[Partition], list[Chunk]]:
    """The whole backlog, as polls brought it."""
    settings = Settings(bootstrap_servers=surroundings.bootstrap)
    names = [topic.name for topic in usecase.topics]
    ids = [PartitionId(t.name, number) for t in usecase.topics for number in range(t.partitions)]
    partitions = {each: Partition.among(names, each, Source("contest", *each)) for each in ids}
    consumer = Consumer(settings.consumer_properties(surroundings.group))
    try:
        consumer.assign([TopicPartition(*each, 0) for each in ids])
        chunks: list[Chunk] = []
        open_ones = set(ids)
        while open_ones:
            chunk = Chunk()
            found: list[Any] = consumer.consume(_POLL_RECORDS, 0.1)
            for message in found:
                place = PartitionId(message.topic(), message.partition())
                if message.error() is None:
                    chunk.records.append(Record.of(partitions[place], message))
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    chunk.ended.append(partitions[place])
                    open_ones.discard(place)
            chunks.append(chunk)
    finally:
        consumer.close()
    return list(partitions.values()), chunks


def main() -> None:
    """Read all, then work, then wait for the end."""
    end_at_once_when_told()
    surroundings = Surroundings.read()
    partitions, chunks = polled(surroundings)
    counter = surroundings.counter()
    work_on(partitions, chunks, usecase, Path(surroundings.artifacts), counter.add)
    signal.pause()


if __name__ == "__main__":
    main()
