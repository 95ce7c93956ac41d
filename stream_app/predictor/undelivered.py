"""Records that lie in no topic yet, decoded as the worker will: for producers, tests and tools."""

from __future__ import annotations

import time
from collections.abc import Sequence

from stream_app.config.settings import Settings
from stream_app.errors import ConfigurationError
from stream_app.features.events import LogRecord
from stream_app.features.usecase import TimeBounds, UseCase
from stream_app.observer.observer import Observer
from stream_app.predictor.assembly import decode_stage
from stream_app.records.headers import too_many
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId
from stream_app.records.record import Record

__all__ = ["UndeliveredRecords"]


class UndeliveredRecords:
    """Decodes and validates records by the worker's own stage, without Kafka."""

    def __init__(
        self,
        usecase: UseCase,
        settings: Settings | None = None,
        *,
        times: TimeBounds | None = None,
    ) -> None:
        """`times`: instead of the use case's own bounds. Without `settings` the defaults hold."""
        self._names = [topic.name for topic in usecase.topics]
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._decode = decode_stage(settings or Settings(), usecase, Observer(), times=times)

    def __call__(self, records: Sequence[LogRecord]) -> list[Item]:
        """An item for each record, in the same order: with an event, skipped, or with a failure.

        A record without a timestamp gets the present time, as it would if it were sent now. Raises
        `ConfigurationError` for a topic that the use case does not read, and `ServiceAwayError` where a
        service that a decoder asks, as a schema registry, does not answer.
        """
        now = time.time()
        partitions = self._partitions
        made = []
        for value, key, headers, timestamp, topic, number in records:
            partition = partitions.get((topic, number)) or self._partition(topic, number)
            at = now if timestamp is None else timestamp
            made.append(Record(partition, 0, at, key, value, headers, too_many(headers)))
        return self._decode(made)

    def _partition(self, topic: str, number: int) -> Partition:
        if topic not in self._names:
            raise ConfigurationError(
                f"the topic {topic} is none of those that the use case reads: {', '.join(self._names)}"
            )
        made = Partition.among(self._names, PartitionId(topic, number))
        self._partitions[topic, number] = made
        return made
