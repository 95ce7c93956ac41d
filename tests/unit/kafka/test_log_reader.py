"""Ranges of logs: what is read, what has no record, and what is left to librdkafka.

The consumer here plays what it is told; with a real one it is tested by the audit and the rebuild in
tests/integration.
"""

from collections.abc import Sequence

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from stream_app.errors import FatalError, RefusedError, ServiceAwayError
from stream_app.kafka.log_reader import (
    LogReader,
    NoRecord,
    Step,
    read_ranges,
    reading_properties,
)
from stream_app.records.places import PartitionId

P = PartitionId("orders", 0)
Q = PartitionId("orders", 1)


class Message:
    """A record, or an event of librdkafka's."""

    def __init__(self, offset: int, code: int | None = None, partition: PartitionId | None = P):
        self._offset = offset
        self._error = None if code is None else KafkaError(code)
        self._partition = partition

    def topic(self) -> str | None:
        """None, if it is of no partition."""
        return self._partition and self._partition.topic

    def partition(self) -> int | None:
        """None, if it is of no partition."""
        return self._partition and self._partition.number

    def error(self) -> KafkaError | None:
        """None, if it is a record."""
        return self._error

    def offset(self) -> int:
        """Where it lies."""
        return self._offset


class Consumer:
    """Gives the messages it was told to, and keeps what it is assigned."""

    def __init__(self, *messages: Message, log_start: int | KafkaException = 0) -> None:
        self.messages = list(messages)
        self.asked: list[int] = []
        self.assigned: dict[PartitionId, int] = {}
        self._log_start = log_start

    def consume(self, count: int, _seconds: float) -> list[Message]:
        """The next ones."""
        self.asked.append(count)
        taken, self.messages = self.messages[:count], self.messages[count:]
        return taken

    def assign(self, places: Sequence[TopicPartition]) -> None:
        """These and no others."""
        self.assigned = {}
        self.incremental_assign(places)

    def incremental_assign(self, places: Sequence[TopicPartition]) -> None:
        """These, too."""
        self.assigned |= {PartitionId(p.topic, p.partition): p.offset for p in places}

    def incremental_unassign(self, places: Sequence[TopicPartition]) -> None:
        """No longer these."""
        for place in places:
            del self.assigned[PartitionId(place.topic, place.partition)]

    def close(self) -> None:
        """There is nothing to let go of."""

    def get_watermark_offsets(self, _place: TopicPartition, timeout: float) -> tuple[int, int]:
        """Where the log begins."""
        if isinstance(self._log_start, KafkaException):
            raise self._log_start
        return self._log_start, 100


def reader_of(consumer: Consumer, ranges: dict[PartitionId, tuple[int, int]]) -> LogReader:
    """A reader of these ranges."""
    reader = LogReader(consumer)  # type: ignore[arg-type]
    reader.assign(ranges)
    return reader


def steps_of(reader: LogReader) -> list[tuple[int, int, bool, NoRecord | None]]:
    """First offset, end, whether there is a record, and why not."""
    return [(s.first, s.end, s.message is not None, s.why) for s in reader.read(100, 0.0)]


def test_a_range_is_read_to_its_end_and_no_further() -> None:
    """The partition is not fetched any more, and what came of it besides is left out."""
    consumer = Consumer(*map(Message, range(3, 9)))
    reader = reader_of(consumer, {P: (3, 6), Q: (0, 5)})
    assert steps_of(reader) == [(at, at + 1, True, None) for at in (3, 4, 5)]
    assert consumer.assigned == {Q: 0}
    assert not reader.is_done
    assert (reader.is_reading(P), reader.is_reading(Q)) == (False, True)


def test_offsets_without_a_record_are_told_with_what_follows_them() -> None:
    """Markers of transactions lie before a record, before the end of the range, or at the log's end."""
    reader = reader_of(Consumer(Message(2), Message(7)), {P: (0, 5)})
    assert steps_of(reader) == [(0, 3, True, None), (3, 5, False, NoRecord.PASSED)]
    assert reader.is_done
    end = Message(4, KafkaError._PARTITION_EOF)
    reader = reader_of(Consumer(Message(2), end), {P: (0, 5)})
    assert steps_of(reader) == [(0, 3, True, None), (3, 4, False, NoRecord.END)]
    assert reader.next_offset(P) == 4
    assert not reader.is_done


def test_an_end_before_what_was_asked_for_is_told_though_nothing_is_new() -> None:
    """Who reads may not wait for ever for what was lost."""
    reader = reader_of(Consumer(Message(3, KafkaError._PARTITION_EOF)), {P: (3, 5)})
    assert steps_of(reader) == [(3, 3, False, NoRecord.END)]


def test_what_retention_removed_is_told_and_reading_goes_on_where_the_log_begins() -> None:
    """Or not at all, where the whole range is gone."""
    gone = Message(3, KafkaError._AUTO_OFFSET_RESET)
    consumer = Consumer(gone, log_start=6)
    reader = reader_of(consumer, {P: (3, 9)})
    assert steps_of(reader) == [(3, 6, False, NoRecord.REMOVED)]
    assert consumer.assigned == {P: 6}
    reader = reader_of(Consumer(gone, log_start=20), {P: (3, 9)})
    assert steps_of(reader) == [(3, 9, False, NoRecord.REMOVED)]
    assert reader.is_done


def test_an_offset_that_no_log_holds_ends_the_reading() -> None:
    """The log was cut off, or is another one."""
    reader = reader_of(Consumer(Message(3, KafkaError._AUTO_OFFSET_RESET)), {P: (3, 9)})
    with pytest.raises(FatalError, match=r"offset 3 is not in the log of orders\[0\]"):
        steps_of(reader)


def test_where_the_log_begins_is_asked_again_when_nobody_answers() -> None:
    """librdkafka has told of it, and would not tell again: so the partition is begun again."""
    away = KafkaException(KafkaError(KafkaError._TIMED_OUT))
    consumer = Consumer(Message(3, KafkaError._AUTO_OFFSET_RESET), log_start=away)
    reader = reader_of(consumer, {P: (3, 9)})
    assert steps_of(reader) == []
    assert consumer.assigned == {P: 3}


def test_what_passes_is_left_to_librdkafka_and_nothing_else_is() -> None:
    """A leader that changes is found again; a right that is missing is not."""
    codes = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError._ALL_BROKERS_DOWN)
    passing = [Message(3, codes[0]), Message(-1, codes[1], None)]
    reader = reader_of(Consumer(*passing, Message(3)), {P: (3, 4)})
    assert steps_of(reader) == [(3, 4, True, None)]
    refused = Message(3, KafkaError.TOPIC_AUTHORIZATION_FAILED)
    reader = reader_of(Consumer(refused), {P: (3, 4)})
    with pytest.raises(RefusedError, match=r"reading orders\[0\] from offset 3 on"):
        steps_of(reader)


def test_a_range_that_is_assigned_anew_begins_anew() -> None:
    """Nothing of the one before is taken for it."""
    consumer = Consumer(Message(3))
    reader = reader_of(consumer, {P: (3, 9), Q: (0, 5)})
    assert len(steps_of(reader)) == 1
    reader.assign({P: (2, 9)})
    assert consumer.assigned == {P: 2}
    consumer.messages = [Message(1), Message(2), Message(0, partition=Q)]
    assert steps_of(reader) == [(2, 3, True, None)]


def test_few_records_are_asked_for_at_once() -> None:
    """A message holds its headers unpacked, which may be thirty times what was sent."""
    consumer = Consumer(*map(Message, range(600)))
    batches = read_ranges(reader_of(consumer, {}), {P: (0, 600)})
    sizes = [len(batch) for batch in batches]
    assert sum(sizes) == 600
    assert max(sizes) == 16
    assert max(consumer.asked) <= 16


def test_a_range_of_which_nothing_comes_is_given_up() -> None:
    """With the partition, the offset and what may be the cause."""
    steps: list[Step] = []
    reader = reader_of(Consumer(Message(0)), {})
    batches = read_ranges(reader, {P: (0, 2)}, steps.append, stalled_seconds=-1.0)
    with pytest.raises(ServiceAwayError, match=r"orders\[0\] delivers nothing after offset 0"):
        list(batches)
    assert [(step.first, step.end) for step in steps] == [(0, 1)]


def test_a_reader_is_no_member_of_the_group_whose_properties_it_has() -> None:
    """As a static member it would fence the real one."""
    group = {
        "group.id": "flights",
        "group.instance.id": "one",
        "group.protocol": "consumer",
        "partition.assignment.strategy": "range",
        "fetch.max.bytes": 5,
    }
    assert reading_properties(group, "flights-rebuild") == {
        "group.id": "flights-rebuild",
        "fetch.max.bytes": 5,
        "auto.offset.reset": "error",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
    }
