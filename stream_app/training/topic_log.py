"""A range of the use case's own topics as a log: read once from Kafka, and held in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

from stream_app.features.events import LogRecord
from stream_app.features.usecase import UseCase
from stream_app.records.places import PartitionId
from stream_app.records.record_id import RecordId
from stream_app.training.errors import LogError
from stream_app.wire.replays import Replays

if TYPE_CHECKING:
    from stream_app.kafka.brokers import Brokers

__all__ = ["counted_once", "read_topics"]


def read_topics(
    usecase: UseCase,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    bootstrap_servers: str | None = None,
) -> list[LogRecord]:
    """The records of the use case's topics whose timestamps lie from `since` to before `until`.

    Without either, from the first that the brokers still hold to those that are there now; what
    transactions did not commit is left out, and so is, of an event and its replays, all but the one that
    counts in the state (`counted_once`). Connections are those of the worker's settings
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
    application = settings.application or usecase.name
    with closing(open_brokers(settings, application)) as brokers:
        ids = {
            name: topic.topic_id
            for name, topic in brokers.topics([each.name for each in usecase.topics]).items()
        }
        read = _read(brokers, _ranges(brokers, usecase, since, until), ids)
    return counted_once(read, Replays(application, settings.replay_secret))


def counted_once(read: Sequence[tuple[RecordId, LogRecord]], replays: Replays) -> list[LogRecord]:
    """The records, of each event and its replays the one alone that counts in the state.

    A replay says whether the record that it is of had been counted. If it had, the replay counts nothing; if
    not, that record and all replays before this one do not.
    """
    left_out: set[RecordId] = set()
    last: dict[RecordId, RecordId] = {}
    # In the order in which they were sent: partitions are read side by side.
    for name, record in sorted(read, key=lambda each: each[1].timestamp or 0.0):
        replay = replays(record.key, record.value, record.headers)
        if replay is not None:
            before = last.get(replay.origin, replay.origin)
            left_out.add(name if replay.applied else before)
            if not replay.applied:
                last[replay.origin] = name
    return [record for name, record in read if name not in left_out]


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


def _read(
    brokers: Brokers, ranges: dict[PartitionId, tuple[int, int]], ids: Mapping[str, str]
) -> list[tuple[RecordId, LogRecord]]:
    from stream_app.kafka.log_reader import read_ranges
    from stream_app.records.partition import Partition
    from stream_app.records.record import Record

    records: list[tuple[RecordId, LogRecord]] = []
    if not ranges:
        return records
    names = sorted({each.topic for each in ranges})
    places = {each: Partition.among(names, each) for each in ranges}
    with closing(brokers.log_reader()) as reader:
        for messages in read_ranges(reader, ranges):
            for message in messages:
                place = PartitionId(message.topic(), message.partition())
                record = Record.of(places[place], message)
                made = LogRecord(
                    record.value,
                    record.key,
                    record.headers,
                    record.timestamp,
                    place.topic,
                    place.number,
                )
                name = RecordId(ids[place.topic], place.number, record.offset)
                records.append((name, made))
    return records
