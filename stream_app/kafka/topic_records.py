"""Whether a topic is there, and every record of it up to where its log ends now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from confluent_kafka import KafkaError

from stream_app.errors import RefusedError
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.errors import error_of, is_forbidden_topic, is_unknown_topic
from stream_app.kafka.log_reader import STALLED_SECONDS, Step, read_ranges
from stream_app.records.places import PartitionId

__all__ = ["existing_partitions", "not_readable_if_there", "topic_records"]


def existing_partitions(brokers: Brokers, topic: str) -> list[PartitionId]:
    """The partitions of a topic; none where the brokers know no such topic.

    Raises `RefusedError` where we lack the right to be told, and `ServiceAwayError`: neither says that
    the topic is not there.
    """
    try:
        return brokers.topics([topic])[topic].partition_ids
    except RefusedError as refused:
        if (error := _cause(refused)) is not None and is_unknown_topic(error):
            return []
        raise


def not_readable_if_there(brokers: Brokers, topics: Sequence[str]) -> list[str]:
    """Those of the topics that we may not read; where not even Describe is granted, nobody knows whether
    they are there. Raises `ServiceAwayError`."""
    found = []
    for topic in topics:
        try:
            if existing_partitions(brokers, topic):
                found += brokers.not_readable([topic])
        except RefusedError as refused:
            if (error := _cause(refused)) is None or not is_forbidden_topic(error):
                raise
            found.append(topic)
    return found


def _cause(refused: RefusedError) -> KafkaError | None:
    return None if refused.__cause__ is None else error_of(refused.__cause__)


def topic_records(
    brokers: Brokers,
    topic: str,
    *,
    decided: bool,
    read_to: dict[PartitionId, int] | None = None,
    stalled_seconds: float = STALLED_SECONDS,
) -> Iterator[Any]:
    """The committed records of a topic that exists.

    `decided`: up to where all transactions are decided; else one that is open is waited for. `read_to`:
    the offset up to which each partition was read before, kept up to date: only what is behind it is
    given, and all of a log that ends before it, for it is another one. Raises `ServiceAwayError`, for
    one where nothing has come for `stalled_seconds`.
    """
    partitions = brokers.topics([topic])[topic].partition_ids
    before = {} if read_to is None else read_to
    first, ends = brokers.starts(partitions), brokers.ends(partitions, decided=decided)
    for each in partitions:
        if first[each] < before.get(each, 0) <= ends[each]:
            first[each] = before[each]
    ranges = {p: (first[p], ends[p]) for p in partitions if first[p] < ends[p]}
    if not ranges:
        return

    steps: list[Step] = []
    with closing(brokers.log_reader()) as reader:
        for messages in read_ranges(reader, ranges, steps.append, stalled_seconds):
            yield from messages
            # Not before they are given: what comes together with an error is read again.
            before |= {step.partition: step.end for step in steps}
            steps.clear()
