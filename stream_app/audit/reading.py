"""Reads ranges of logs once, as a stream, with what was removed while it was read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from confluent_kafka import KafkaError, Message

from stream_app.errors import ConfigurationError
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.errors import is_damaged
from stream_app.kafka.log_reader import NoRecord, Step, raise_unless_passing, read_ranges
from stream_app.records.headers import read_headers
from stream_app.records.places import PartitionId

__all__ = ["Progress", "headers_of", "partition_id_of", "read"]

#: Told how many offsets have been read, of how many.
Progress = Callable[[int, int], None]


def read(
    brokers: Brokers,
    ranges: Mapping[PartitionId, tuple[int, int]],
    progress: Progress,
    on_removed: Callable[[PartitionId, int, int], None],
) -> Iterator[list[Message]]:
    """Yield the committed records of each range, first offset included, end not; in offset order.

    A range whose end lies in a transaction that is not decided yet is waited for.
    `on_removed(partition_id, first, end)` is told of offsets that retention removed meanwhile. Raises
    `ServiceAwayError` when nothing comes any more.
    """
    total = sum(max(0, end - first) for first, end in ranges.values())
    if not total:
        return
    done = 0

    def on_step(step: Step) -> None:
        nonlocal done
        done += step.end - step.first
        if step.why is NoRecord.REMOVED:
            on_removed(step.partition, step.first, step.end)

    reader = brokers.log_reader(on_error=_on_error)
    try:
        for messages in read_ranges(reader, ranges, on_step):
            yield messages
            progress(done, total)
    finally:
        reader.close()


def _on_error(error: KafkaError, partition_id: PartitionId | None, offset: int) -> None:
    if partition_id is not None and is_damaged(error):
        raise ConfigurationError(
            f"{partition_id} cannot be read from offset {offset} on ({error.str()}): the batch there is "
            "damaged, or unpacks to more than the consumer property receive.message.max.bytes. "
            "Raise that, or leave the batch out with --offsets."
        )
    raise_unless_passing(error, partition_id, offset)


def partition_id_of(message: Message) -> PartitionId:
    """The partition a record came from."""
    topic, partition = message.topic(), message.partition()
    assert topic is not None
    assert partition is not None
    return PartitionId(topic, partition)


def headers_of(message: Message) -> list[Any]:
    """The headers of an output; raises `ValueError` where confluent-kafka cannot read them."""
    try:
        # Once only: where it failed, a second call gives what is no object.
        headers = read_headers(message)
    except Exception as error:
        # A header whose name is not UTF-8 is a SystemError. A worker passes on what it could read.
        raise ValueError("its headers cannot be read") from error
    return headers or []
