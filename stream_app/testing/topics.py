"""Topics in memory, with what a consumer group has committed of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from zlib import crc32

from stream_app.features.usecase import UseCase
from stream_app.records.batch import Outgoing
from stream_app.records.headers import Header
from stream_app.records.places import PartitionId

__all__ = ["MemoryTopics", "Message"]


@dataclass(frozen=True, slots=True)
class Message:
    """A record of a topic in memory."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    timestamp: float = 0.0
    """Seconds since the epoch."""


@dataclass
class MemoryTopics:
    """The event topics of a use case and the topics that its worker writes, in memory.

    They outlive a worker, as brokers do: what one has committed the next one goes on from.
    """

    usecase: UseCase
    logs: dict[PartitionId, list[Message]] = field(default_factory=dict)
    """The records of the event topics, by partition."""
    published: list[Message] = field(default_factory=list)
    """What the worker wrote, in the order in which it was acknowledged."""
    committed: dict[PartitionId, int] = field(default_factory=dict)
    """The next offset to read, by partition; absent where nothing was committed."""

    def __post_init__(self) -> None:
        self._ends = Counter[str]()
        self.logs = {
            PartitionId(topic.name, number): []
            for topic in self.usecase.topics
            for number in range(topic.partitions)
        }

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        *,
        headers: Sequence[Header] = (),
        timestamp: float | None = None,
        partition: int | None = None,
    ) -> Message:
        """Add an event; `timestamp` in seconds since the epoch, now by default.

        Without `partition` the key decides, as a producer's partitioner does. Raises `KeyError` for a
        topic or partition that the use case does not have.
        """
        if partition is None:
            counts = {each.name: each.partitions for each in self.usecase.topics}
            partition = crc32(key or b"") % counts[topic]
        log = self.logs[PartitionId(topic, partition)]
        when = time.time() if timestamp is None else timestamp
        message = Message(topic, partition, len(log), key, value, tuple(headers), when)
        log.append(message)
        return message

    def publish(self, outgoing: Outgoing) -> None:
        """Take what a worker writes, as brokers that acknowledge it."""
        offset = self._ends[outgoing.topic]
        self._ends[outgoing.topic] += 1
        self.published.append(
            Message(
                outgoing.topic,
                0,
                offset,
                outgoing.key,
                outgoing.value,
                tuple(outgoing.headers),
                time.time(),
            )
        )

    def commit(self, partition: PartitionId, offset: int) -> None:
        """Keep the next offset to read of a partition, as brokers do for a group."""
        self.committed[partition] = offset

    @property
    def predictions(self) -> list[Message]:
        """What was written to the predictions topic."""
        return self._written_to(self.usecase.predictions_topic)

    @property
    def dead_letters(self) -> list[Message]:
        """What was written to the topic of dead letters."""
        return self._written_to(self.usecase.dead_letters_topic)

    def _written_to(self, topic: str) -> list[Message]:
        return [message for message in self.published if message.topic == topic]
