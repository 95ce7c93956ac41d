"""A range of the use case's own topics as a log: read once from Kafka, and held in memory."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

from stream_app.features.events import LogRecord
from stream_app.features.usecase import UseCase
from stream_app.records.places import PartitionId
from stream_app.training.errors import LogError

if TYPE_CHECKING:
    from stream_app.kafka.brokers import Brokers

__all__ = ["read_topics"]


def read_topics(
    usecase: UseCase,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    bootstrap_servers: str | None = None,
) -> list[LogRecord]:
    """The records of the use case's topics whose timestamps lie from `since` to before `until`.

    Without either, from the first that the brokers still hold to those that are there now; what
    transactions did not commit is left out. Connections are those of the worker's settings
    (environment, ``stream_app.toml``); `bootstrap_servers` goes before them. No group is joined and
    nothing is written. Raises `ServiceAwayError` where Kafka does not answer.
    """
    # Here, so that importing the surface loads no client.
    from stream_app.config.settings import Settings
    from stream_app.kafka.brokers import open_brokers

    for moment in (since, until):
        if moment is not None and moment.tzinfo is None:
            raise LogError("read_topics: since and until need an offset from UTC.")
    given: dict[str, Any] = {}
    if bootstrap_servers is not None:
        given["bootstrap_servers"] = bootstrap_servers
    settings = Settings.load(**given)
    with closing(open_brokers(settings, settings.application or usecase.name)) as brokers:
        return _read(brokers, _ranges(brokers, usecase, since, until))


def _ranges(
    brokers: Brokers, usecase: UseCase, since: datetime | None, until: datetime | None
) -> dict[PartitionId, tuple[int, int]]:
    topics = brokers.topics([topic.name for topic in usecase.topics])
    partitions = [each for topic in topics.values() for each in topic.partition_ids]
    starts, ends = brokers.starts(partitions), brokers.ends(partitions, decided=True)
    if since is not None:
        for each, first in brokers.first_at(partitions, since.timestamp()).items():
            starts[each] = ends[each] if first is None else first
    if until is not None:
        for each, end in brokers.first_at(partitions, until.timestamp()).items():
            ends[each] = ends[each] if end is None else end
    return {each: (starts[each], ends[each]) for each in partitions if starts[each] < ends[each]}


def _read(brokers: Brokers, ranges: dict[PartitionId, tuple[int, int]]) -> list[LogRecord]:
    from stream_app.kafka.log_reader import read_ranges
    from stream_app.records.partition import Partition
    from stream_app.records.record import Record

    records: list[LogRecord] = []
    if not ranges:
        return records
    names = sorted({each.topic for each in ranges})
    places = {each: Partition.among(names, each) for each in ranges}
    with closing(brokers.log_reader()) as reader:
        for messages in read_ranges(reader, ranges):
            for message in messages:
                place = PartitionId(message.topic(), message.partition())
                record = Record.of(places[place], message)
                records.append(
                    LogRecord(
                        record.value,
                        record.key,
                        record.headers,
                        record.timestamp,
                        place.topic,
                        place.number,
                    )
                )
    return records
