"""Every record of a topic, up to where its log ends now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from stream_app.kafka.brokers import Brokers
from stream_app.kafka.log_reader import read_ranges

__all__ = ["topic_records"]


def topic_records(brokers: Brokers, topic: str, *, decided: bool) -> Iterator[Any]:
    """The committed records of a topic that exists.

    `decided`: up to where all transactions are decided; else one that is open is waited for. Raises
    `ServiceAwayError`.
    """
    partitions = brokers.topics([topic])[topic].partition_ids
    first, ends = brokers.starts(partitions), brokers.ends(partitions, decided=decided)
    ranges = {p: (first[p], ends[p]) for p in partitions if first[p] < ends[p]}
    if not ranges:
        return
    with closing(brokers.log_reader()) as reader:
        for messages in read_ranges(reader, ranges):
            yield from messages
