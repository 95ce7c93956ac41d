"""What a poll brought, by what librdkafka tells of it; with brokers it is tested in tests/integration."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from stream_app.kafka.consumer.incoming import Incoming
from stream_app.kafka.offset_tracker import OffsetTracker
from tests.unit.builders import begins, partition

UNKNOWN = -1001
"""What librdkafka says of a log before the first answer."""


class Log:
    """The one partition that is read, and how far its log goes as the last answer told."""

    def __init__(self) -> None:
        self.partition = partition()
        self.end = UNKNOWN
        tracker = OffsetTracker()
        tracker.begin(begins(self.partition))
        assignment: Any = SimpleNamespace(get=lambda *_: self.partition, holds=lambda _: True)
        errors: Any = SimpleNamespace(delivered=lambda _: None)
        positions: Any = None  # asked for where records are gone alone
        self.incoming = Incoming(assignment, positions, tracker, errors)

    def get_watermark_offsets(self, _: TopicPartition, *, cached: bool) -> tuple[int, int]:
        """The consumer's answer."""
        assert cached
        return 0, self.end

    def poll(self, *offsets: int, ended: int | None = None) -> int:
        """Take records of these offsets, then the event that the partition ended; return what is left."""
        messages = [self._message(offset) for offset in offsets]
        if ended is not None:
            messages.append(self._message(ended, KafkaError(KafkaError._PARTITION_EOF)))
        consumer: Any = self
        taken = self.incoming.take(consumer, messages)
        assert taken.messages == len(messages)
        return taken.left

    def _message(self, offset: int, error: KafkaError | None = None) -> Any:
        told = {
            "topic": self.partition.topic,
            "partition": self.partition.number,
            "offset": offset,
            "error": error,
            "timestamp": (1, 1_385_899_200_000),
            "key": b"key",
            "value": b"{}",
            "headers": None,
            "leader_epoch": 0,
        }
        return SimpleNamespace(**{name: lambda value=value: value for name, value in told.items()})


@pytest.fixture
def log() -> Log:
    """One that nothing was read of."""
    return Log()


def test_a_poll_tells_how_many_records_the_log_holds_behind_it(log: Log) -> None:
    """Nothing before the brokers told where the log ends."""
    assert log.poll(0, 1) == 0
    log.end = 10
    assert log.poll(2, 3) == 6
    assert log.poll(4, 5, 6, 7, 8, 9) == 0


def test_a_partition_is_at_its_end_behind_the_last_record_that_the_log_holds(log: Log) -> None:
    """Which the brokers told with that record already; the event that comes later is no news."""
    log.end = 2
    log.poll(0, 1)
    assert log.incoming.chunk.ended == [log.partition]
    log.poll(ended=2)
    assert log.incoming.chunk.ended == [log.partition]


def test_an_end_holds_no_longer_than_until_more_records_come_into_the_same_chunk(log: Log) -> None:
    """A chunk may be of several polls, where the work took none for long: others must wait for these."""
    log.end = 2
    log.poll(0, 1)
    log.end = 9
    log.poll(2, 3)
    assert log.incoming.chunk.ended == []
    log.poll(4, 5, 6, 7, 8)
    assert log.incoming.chunk.ended == [log.partition]
