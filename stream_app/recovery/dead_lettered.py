"""Leaves out of a rebuild what its dead letter says has changed no state: its replay does that.

A record that failed for a mistake in code is good once the code is mended. A rebuild that took it would
count it, and its replay as well. So a record counts as it did when it was worked on: one whose dead letter
says `not-applied` counts nothing, and a replay of it counts once. Letters that retention has removed are
known by the marks of `stream-app dlq`, where they were replayed.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from stream_app.config.settings import Settings
from stream_app.dead_letters.resolutions import resolution_of, resolutions_topic
from stream_app.features.usecase import UseCase
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.topic_records import existing_partitions, not_readable_if_there, topic_records
from stream_app.predictor.decode import Decode
from stream_app.records.headers import read_headers
from stream_app.records.item import Item
from stream_app.records.record import Record
from stream_app.records.record_id import RecordId, record_id_of
from stream_app.waiting.retry import Retry
from stream_app.wire.dead_letter import DeadLetter
from stream_app.wire.headers import by_name

__all__ = ["DeadLettered"]

log = logging.getLogger(__name__)

_NOT_APPLIED: Final = "not-applied"


class DeadLettered:
    """Records that changed no state when they were worked on, by topic id and partition."""

    def __init__(
        self, settings: Settings, usecase: UseCase, application: str, brokers: Brokers, retry: Retry
    ) -> None:
        self._letters = usecase.dead_letters_topic
        self._resolutions = resolutions_topic(settings, application)
        self._application = application
        self._brokers = brokers
        self._retry = retry
        self._offsets: Mapping[tuple[str, int], set[int]] = {}

    def leave_out(self, decode: Decode) -> Decode:
        """The stage that decodes, but for these records: they are none of the use case's."""

        def rest(records: Sequence[Record]) -> list[Item]:
            if not self._offsets:
                return decode(records)
            left_out = [self._has(record) for record in records]
            pairs = zip(records, left_out, strict=True)
            decoded = iter(decode([record for record, out in pairs if not out]))
            return [
                Item(record, None) if out else next(decoded)
                for record, out in zip(records, left_out, strict=True)
            ]

        return rest

    def look(self) -> None:
        """Read which they are, now; waits while the brokers are away."""
        found: dict[tuple[str, int], set[int]] = defaultdict(set)

        def note(record: RecordId) -> None:
            found[record.topic_id, record.partition].add(record.offset)

        def of_letter(message: object) -> None:
            said = DeadLetter.of(by_name(read_headers(message)))
            if said.state == _NOT_APPLIED and said.group in ("", self._application):
                note(RecordId(said.topic_id, said.partition, said.offset))

        def of_mark(message: object) -> None:
            _, mark = resolution_of(message)
            if mark.action == "replayed" and mark.state == _NOT_APPLIED:
                note(record_id_of(mark.origin))

        self._retry("kafka", lambda: self._read(self._letters, of_letter))
        self._retry("kafka", lambda: self._read(self._resolutions, of_mark))
        self._offsets = dict(found)
        if found:
            log.info(
                "%d records that changed no state, as their dead letters say, are left out: a replay "
                "counts them",
                sum(map(len, found.values())),
            )

    def _has(self, record: Record) -> bool:
        partition = record.partition
        offsets = self._offsets.get((partition.topic_id, partition.number))
        return offsets is not None and record.offset in offsets

    def _read(self, topic: str, take: Callable[[object], None]) -> None:
        """Every committed record of a topic, if it is there and may be read."""
        if not_readable_if_there(self._brokers, [topic]):
            log.warning(
                "topic %s may not be read: records that failed, and whose code was mended since, count "
                "in the state that is rebuilt, and again if they are replayed; grant Read on it",
                topic,
            )
            return
        if not existing_partitions(self._brokers, topic):
            return
        for message in topic_records(self._brokers, topic, decided=True):
            with suppress(ValueError):  # what is neither letter nor mark
                take(message)
