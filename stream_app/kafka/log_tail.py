"""Reads a topic as it grows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

from stream_app.kafka.brokers import Brokers
from stream_app.kafka.log_reader import NO_END

__all__ = ["follow"]

_RECORDS: Final = 16
_POLL_SECONDS: Final = 0.5


def follow(brokers: Brokers, topic: str, *, from_beginning: bool) -> Iterator[Any]:
    """Yield the topic's records without end; those that come from now on, or all.

    In offset order by partition. Partitions that are added meanwhile are not read. Raises
    `RefusedError` for a topic that is unknown.
    """
    partitions = brokers.topics([topic])[topic].partition_ids
    first = brokers.starts(partitions) if from_beginning else brokers.ends(partitions)
    with closing(brokers.log_reader()) as reader:
        reader.assign({each: (first[each], NO_END) for each in partitions})
        while True:
            for step in reader.read(_RECORDS, _POLL_SECONDS):
                if step.message is not None:
                    yield step.message
