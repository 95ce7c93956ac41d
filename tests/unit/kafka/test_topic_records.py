"""Every record of a topic, read on from where it was read to."""

from collections.abc import Iterable
from typing import Any

import pytest
from confluent_kafka import KafkaError

from stream_app.errors import ServiceAwayError
from stream_app.kafka.brokers import Brokers, Topic
from stream_app.kafka.log_reader import LogReader
from stream_app.kafka.topic_records import topic_records
from stream_app.records.places import PartitionId
from tests.unit.kafka.test_log_reader import Consumer, Message, P


class Asked(Brokers):
    """Brokers that have one topic of one partition, and give what each reader is to read."""

    def __init__(self, end: int, *readers: Consumer) -> None:
        self._end = end
        self._readers = list(readers)

    def topics(self, names: Iterable[str]) -> dict[str, Topic]:
        """The one."""
        return {name: Topic(name, "an id", 1) for name in names}

    def starts(self, partitions: Iterable[PartitionId]) -> dict[PartitionId, int]:
        """Nothing is deleted."""
        return dict.fromkeys(partitions, 0)

    def ends(
        self,
        partitions: Iterable[PartitionId],
        *,
        decided: bool = False,
    ) -> dict[PartitionId, int]:
        """Where the log ends."""
        return dict.fromkeys(partitions, self._end)

    def log_reader(self, **_: Any) -> LogReader:
        """The next one."""
        reader: Any = self._readers.pop(0)
        return LogReader(reader)


def test_what_came_beside_an_error_is_read_again() -> None:
    """It was never given: an operator's order would else be passed over for as long as the process lives."""
    forbidden = Message(-1, KafkaError.TOPIC_AUTHORIZATION_FAILED)
    first, second = Consumer(Message(0), forbidden), Consumer(Message(0), Message(1))
    brokers, read_to = Asked(2, first, second), dict[PartitionId, int]()
    with pytest.raises(ServiceAwayError):
        list(topic_records(brokers, P.topic, decided=True, read_to=read_to))
    found = topic_records(brokers, P.topic, decided=True, read_to=read_to)
    assert [message.offset() for message in found] == [0, 1]
    assert read_to == {P: 2}
    assert list(topic_records(brokers, P.topic, decided=True, read_to=read_to)) == []
