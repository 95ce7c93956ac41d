"""What the topics say: their records from the beginning, their ends, and what a group committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports silently
    AdminClient,
    OffsetSpec,
)

from demo.errors import DemoError
from stream_app.kafka.queries import log_offsets
from stream_app.records.places import PartitionId

__all__ = ["Offsets", "Reader"]

_REQUEST_SECONDS: Final = 10.0
_STALLED_SECONDS: Final = 30.0
_RECORDS: Final = 5_000


class Reader:
    """Reads partitions from their beginning, as a consumer of its own; it never commits."""

    def __init__(self, bootstrap: str, partitions: Iterable[PartitionId]) -> None:
        self._next = dict.fromkeys(partitions, 0)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "stream-app-demo-observer",  # asked for by the client, never joined
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.queue.backoff.ms": 10,
                # Few large answers: what only looks on must not take the broker's time.
                "fetch.min.bytes": 65_536,
                "fetch.wait.max.ms": 200,
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(*partition, 0) for partition in self._next])

    def read(self, timeout_seconds: float) -> list[Message]:
        """Return what has come, after at most `timeout_seconds`."""
        messages = []
        for message in self._consumer.consume(_RECORDS, timeout_seconds):
            if (error := message.error()) is None:
                topic, number, offset = message.topic(), message.partition(), message.offset()
                assert topic is not None
                assert number is not None
                assert offset is not None
                self._next[PartitionId(topic, number)] = offset + 1
                messages.append(message)
            elif error.code() != KafkaError._TRANSPORT and not error.retriable():
                raise DemoError(f"The topics cannot be read: {error.str()}")
        return messages

    def read_to(self, ends: Mapping[PartitionId, int]) -> Iterable[list[Message]]:
        """Yield everything up to the end offsets `ends`."""
        waited = 0.0
        while any(self._next[partition] < end for partition, end in ends.items()):
            messages = self.read(0.2)
            waited = 0.0 if messages else waited + 0.2
            if waited > _STALLED_SECONDS:
                raise DemoError(f"The topics deliver nothing for {_STALLED_SECONDS:g} s.")
            yield messages

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Offsets:
    """Asks the brokers how far topics and a group are."""

    def __init__(self, bootstrap: str, group: str) -> None:
        connection: dict[str, Any] = {"bootstrap.servers": bootstrap, "log_level": 0}
        self._admin = AdminClient(connection)
        # It never joins the group. The admin client's own call for a group's offsets ends the
        # process (seen with librdkafka 2.16: a client without a group is asked for its group).
        self._member = Consumer({**connection, "group.id": group, "enable.auto.commit": False})

    def ends(self, partitions: Iterable[PartitionId]) -> dict[PartitionId, int]:
        """Return the end offset of each partition."""
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        try:
            found = log_offsets(self._admin, partitions, latest, _REQUEST_SECONDS)
            return {PartitionId(*place): end for place, end in found.items()}
        except KafkaException as error:
            raise DemoError(f"The brokers do not tell the ends: {error.args[0].str()}") from error

    def committed(self, partitions: Iterable[PartitionId]) -> dict[PartitionId, int]:
        """Return what the group has committed; partitions without a commit are left out."""
        asked = [TopicPartition(*partition) for partition in partitions]
        try:
            answer = self._member.committed(asked, timeout=_REQUEST_SECONDS)
        except KafkaException:
            return {}  # the group's coordinator is still being made
        return {
            PartitionId(each.topic, each.partition): each.offset
            for each in answer
            if each.offset >= 0
        }
