"""What a consumer group has committed, asked by a consumer that never joins it.

librdkafka's admin call for a group's offsets ends the process when the group's coordinator has moved
(seen with 2.16: a client without a group is asked for its group).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream_app.errors import RefusedError
from stream_app.kafka.errors import failure, is_of_client
from stream_app.kafka.offset_metadata import topic_id_of
from stream_app.records.places import PartitionId

__all__ = ["Committed", "GroupOffsets", "committed_offsets", "without_membership"]

_AGAIN_SECONDS: Final = 0.2
_librdkafka = logging.getLogger("librdkafka")


class Committed(NamedTuple):
    """What a group has committed for a partition."""

    offset: int
    metadata: str | None = None
    leader_epoch: int | None = None
    """Of the record before the offset, where the worker knew it."""

    @property
    def topic_id(self) -> str | None:
        """The incarnation of the topic it was committed for; None where a person set it."""
        return topic_id_of(self.metadata)

    def is_of(self, topic_id: str) -> bool:
        """Whether it is not the offset of another topic of the same name."""
        return self.topic_id in (None, topic_id)


def without_membership(properties: Mapping[str, Any], group: str | None = None) -> dict[str, Any]:
    """The properties of a consumer that joins no group, and so commits nothing.

    As a static member of the group it would fence the real one. `group`: another name for it.
    """
    kept = {
        name: value
        for name, value in properties.items()
        if not name.startswith("group.") and "assignment" not in name
    }
    return {**kept, "group.id": group or properties["group.id"], "enable.auto.commit": False}


def committed_offsets(
    consumer: Consumer, partitions: Iterable[PartitionId], seconds: float
) -> dict[PartitionId, Committed]:
    """What the group of a consumer has committed; partitions without a commit are left out.

    Raises what `errors.failure` says.
    """
    asked = [TopicPartition(*partition) for partition in partitions]
    try:
        answer = consumer.committed(asked, timeout=seconds)
    except KafkaException as error:
        raise failure(error.args[0], "asking for the group's offsets") from error
    found = {}
    for each in answer:
        partition = PartitionId(each.topic, each.partition)
        if each.error is not None:
            raise failure(each.error, f"asking for the offset of {partition}")
        if each.offset >= 0:
            found[partition] = Committed(each.offset, each.metadata, each.leader_epoch)
    return found


class GroupOffsets:
    """Asks for a group's offsets; it connects when it is first asked."""

    def __init__(self, properties: Mapping[str, Any]) -> None:
        """`properties`: librdkafka's, of a consumer of the group."""
        self._properties = without_membership(properties)
        self._consumer: Consumer | None = None

    def committed(
        self, partitions: Iterable[PartitionId], seconds: float, *, wait: bool
    ) -> dict[PartitionId, Committed]:
        """As `committed_offsets`; `wait`: while the coordinator is about to move or loads the group."""
        if self._consumer is None:
            self._consumer = Consumer(self._properties, logger=_librdkafka)
        asked = list(partitions)
        deadline = time.monotonic() + seconds
        while True:
            left = max(_AGAIN_SECONDS, deadline - time.monotonic())
            try:
                return committed_offsets(self._consumer, asked, left)
            except Exception as failed:
                if not wait or not _may_pass(failed) or time.monotonic() > deadline:
                    raise
            time.sleep(_AGAIN_SECONDS)

    def close(self) -> None:
        """Let go of the connections."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None


def _may_pass(failed: BaseException) -> bool:
    """Whether a coordinator said that it is not ready, or not the coordinator any more."""
    error = failed.__cause__
    if isinstance(failed, RefusedError) or not isinstance(error, KafkaException):
        return False
    return error.args[0].retriable() or not is_of_client(error.args[0])
