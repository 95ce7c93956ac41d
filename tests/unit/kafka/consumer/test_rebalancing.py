"""What an assignment that is taken anew as a whole keeps of the partitions that do not move."""

from collections.abc import Sequence
from typing import Any

from confluent_kafka import TopicPartition

from stream_app.kafka.consumer.rebalancing import Eager


class Consumed:
    """A consumer that has consumed something of partition 1, and nothing of the others."""

    assigned: Sequence[TopicPartition] = ()

    def assign(self, places: Sequence[TopicPartition]) -> None:
        """Fetch these."""
        self.assigned = places

    def position(self, places: Sequence[TopicPartition]) -> list[TopicPartition]:
        """Behind the last record consumed, with the epoch it was written under."""
        return [
            TopicPartition("t", p.partition, 30, leader_epoch=6)
            if p.partition == 1
            else TopicPartition("t", p.partition)
            for p in places
        ]


def test_the_others_keep_the_epochs_of_their_leaders() -> None:
    """Without them a log that an unclean election cut short would be read on in silence."""
    consumer: Any = Consumed()
    eager = Eager()
    eager.assign(consumer, [TopicPartition("t", n, 10 * n, leader_epoch=4) for n in range(3)])
    eager.move(consumer, TopicPartition("t", 2, 7))
    found = {each.partition: (each.offset, each.leader_epoch) for each in consumer.assigned}
    assert found == {0: (0, 4), 1: (30, 6), 2: (7, None)}


class Slow(Consumed):
    """librdkafka lets go of the position of what was moved only some calls later."""

    def __init__(self) -> None:
        self.positions = {0: 10, 1: 20, 2: 30}
        self.calls = 0

    def assign(self, places: Sequence[TopicPartition]) -> None:
        """Nothing is forgotten yet."""
        self.assigned = places
        self.calls = 0

    def position(self, places: Sequence[TopicPartition]) -> list[TopicPartition]:
        """The old positions, until the third call after an assignment."""
        self.calls += 1
        if self.calls > 2:
            self.positions = dict.fromkeys(self.positions, -1001)
        return [TopicPartition("t", p.partition, self.positions[p.partition]) for p in places]


def test_a_position_from_before_a_move_is_not_taken_for_what_was_read_after_it() -> None:
    """Else the records between the two would be skipped when another partition is moved next."""
    consumer: Any = Slow()
    eager = Eager()
    eager.assign(consumer, [TopicPartition("t", n, 0) for n in range(3)])
    eager.move(consumer, TopicPartition("t", 0, 4))
    eager.move(consumer, TopicPartition("t", 1, 7))
    assert {each.partition: each.offset for each in consumer.assigned}[0] == 4


def test_a_partition_that_was_sought_in_is_read_from_there_whoever_is_moved_next() -> None:
    """Nothing was consumed of it since; where it began would be read again, or not."""
    consumer: Any = Consumed()
    eager = Eager()
    eager.assign(consumer, [TopicPartition("t", n, 10 * n) for n in range(3)])
    eager.sought(TopicPartition("t", 0, 5))
    eager.move(consumer, TopicPartition("t", 2, 7))
    assert {each.partition: each.offset for each in consumer.assigned} == {0: 5, 1: 30, 2: 7}
