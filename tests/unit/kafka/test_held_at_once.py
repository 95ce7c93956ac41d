"""How much of a log is held at once."""

from typing import Any

from confluent_kafka import Message

from stream_app.kafka.log_reader import LogReader, read_ranges
from stream_app.records.places import PartitionId


class Log:
    """Brokers, and the consumer they give, of one partition with so many records."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.next = 0
        self.most = 0

    def consume(self, most: int, _seconds: float) -> list[Any]:
        """The next records."""
        first, self.next = self.next, min(self.next + most, self.count)
        self.most = max(self.most, self.next - first)
        return [Message(topic="t", partition=0, offset=n) for n in range(first, self.next)]

    def assign(self, _places: Any) -> None:
        """Read this."""

    def close(self) -> None:
        """There is nothing to close."""

    incremental_unassign = assign


def test_few_records_are_held_at_once() -> None:
    """Of 1,000 with 60,000 tiny headers each, the headers would take gigabytes."""
    log: Any = Log(100)
    ranges = {PartitionId("t", 0): (0, 100)}
    taken = [len(messages) for messages in read_ranges(LogReader(log), ranges)]
    assert sum(taken) == 100
    assert max(taken) <= 16
    assert log.most <= 16
