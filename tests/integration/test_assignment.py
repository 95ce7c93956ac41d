"""How partitions are shared out and taken in: with real groups on a real broker."""

import random
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from stream_app.config.settings import Settings
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.consumer.assignment import Assignment, generation
from stream_app.kafka.consumer.rebalancing import Rebalancing, rebalancing
from stream_app.kafka.consumer.start_positions import StartPositions
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.kafka.topic_ids import TopicIds
from stream_app.observer.observer import Observer
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId
from stream_app.waiting.retry import Retry
from tests.integration.worker import eventually
from tests.services import Kafka, TopicFactory

Numbers = dict[str, list[int]]

STRATEGIES = [("classic", "range"), ("classic", "sticky"), ("consumer", "range")]


class Member:
    """A consumer with a worker's properties, that holds what the group gives it."""

    def __init__(
        self,
        kafka: Kafka,
        group: str,
        topics: Sequence[str],
        protocol: str,
        strategy: str = "range",
    ) -> None:
        settings = Settings(
            bootstrap_servers=kafka.bootstrap,
            group_protocol=protocol,  # type: ignore[arg-type]
            assignment_strategy=strategy,  # type: ignore[arg-type]
            session_timeout_seconds=3.0,
            consumer={"heartbeat.interval.ms": "100"} if protocol == "classic" else {},
        )
        self.properties: dict[str, Any] = settings.consumer_properties(group)
        self.rebalancing: Rebalancing = rebalancing(self.properties)
        self.topics = list(topics)
        self.consumer = Consumer(self.properties)

    def join(self) -> None:
        """Subscribe, and read from the beginning what is assigned."""

        def assign(consumer: Consumer, places: list[TopicPartition]) -> None:
            start = [TopicPartition(place.topic, place.partition, 0) for place in places]
            if start:
                self.rebalancing.assign(consumer, start)

        self.consumer.subscribe(self.topics, on_assign=assign, on_revoke=self.rebalancing.unassign)

    @property
    def numbers(self) -> Numbers:
        """The partitions it holds, by topic."""
        held: defaultdict[str, list[int]] = defaultdict(list)
        for place in self.consumer.assignment():
            held[place.topic].append(place.partition)
        return {topic: sorted(numbers) for topic, numbers in sorted(held.items())}


@contextmanager
def closing(*members: Member) -> Iterator[None]:
    """Let all leave."""
    try:
        yield
    finally:
        for member in members:
            member.consumer.close()


def shared_out(members: Sequence[Member], count: int) -> bool:
    """Whether, after a moment of polling, all hold something and nothing is left over."""
    for member in members:
        member.consumer.poll(0.02)
    held = [member.numbers for member in members]
    return all(held) and sum(len(ns) for own in held for ns in own.values()) == count


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_partitions_of_one_number_go_to_one_worker(
    kafka: Kafka, topic_factory: TopicFactory, protocol: str
) -> None:
    """With two and with three workers, which share each topic evenly."""
    topics = [topic_factory(partitions=8) for _ in range(3)]
    group = uuid.uuid4().hex
    members = [Member(kafka, group, topics, protocol) for _ in range(3)]
    with closing(*members):
        for count in (1, 2, 3):
            there = members[:count]
            there[-1].join()
            eventually("all is shared out", lambda there=there: shared_out(there, 24))
            for member in there:
                first, *others = member.numbers.values()
                assert len(member.numbers) == 3
                assert all(numbers == first for numbers in others), member.numbers
                assert len(first) in {8 // count, -(-8 // count)}, member.numbers


@pytest.mark.parametrize(("protocol", "strategy"), STRATEGIES)
def test_a_partition_that_begins_again_disturbs_no_other(
    kafka: Kafka, topic_factory: TopicFactory, protocol: str, strategy: str
) -> None:
    """It is read from its new offset; the others go on behind what was read of them."""
    topic = topic_factory(partitions=3)
    _produce(kafka, [(topic, number) for number in range(3)], 10)
    member = Member(kafka, uuid.uuid4().hex, [topic], protocol, strategy)
    with closing(member):
        member.join()
        read = _read(member.consumer, lambda read: len(read) == 30)
        assert sorted(set(read)) == sorted(read)
        for number, offset in ((0, 4), (1, 7)):
            # One after the other, as events of librdkafka come: the first keeps its offset.
            member.rebalancing.move(member.consumer, TopicPartition(topic, number, offset))
        _produce(kafka, [(topic, 2)], 1)
        again = _read(member.consumer, lambda read: len(read) == 6 + 3 + 1)
        assert sorted(again) == [
            *((topic, 0, offset) for offset in range(4, 10)),
            *((topic, 1, offset) for offset in range(7, 10)),
            (topic, 2, 10),
        ]


@pytest.mark.parametrize(("protocol", "strategy"), STRATEGIES)
def test_pauses_and_resumes_in_any_order_leave_nothing_paused(
    kafka: Kafka, topic_factory: TopicFactory, protocol: str, strategy: str
) -> None:
    """Not even between rebalances; and what is paused delivers nothing."""
    topics = [topic_factory(partitions=4) for _ in range(2)]
    places = [(topic, number) for topic in topics for number in range(4)]
    _produce(kafka, places, 1)
    group = uuid.uuid4().hex
    member = Member(kafka, group, topics, protocol, strategy)
    other = Member(kafka, group, topics, protocol, strategy)
    consumer, assignment = member.consumer, _assignment(kafka, member)
    with closing(member, other):
        consumer.subscribe(
            topics,
            on_assign=assignment.on_assign,
            on_revoke=assignment.on_revoke,
            on_lost=assignment.on_lost,
        )
        eventually("all is assigned", lambda: _polled(consumer, assignment, 8))
        chance = random.Random(9)
        paused: set[Partition] = set()
        all_paused = False
        for turn in range(2 if protocol == "consumer" else 6):
            other.join() if turn % 2 == 0 else other.consumer.unsubscribe()
            wanted = 8 if turn % 2 else 4
            deadline = time.monotonic() + 30.0
            while len(assignment.partitions) != wanted or chance.random() < 0.9:
                assert time.monotonic() < deadline, "the group does not settle"
                some = {p for p in assignment.partitions if chance.random() < 0.3}
                # Like `align`, which knows of no assignment but those it was told of.
                assignment.pause(consumer, list(some - paused))
                assignment.resume(consumer, list(some & paused))
                paused ^= some
                all_paused = chance.random() < 0.5
                (assignment.pause_all if all_paused else assignment.resume_all)(consumer)
                _produce(kafka, places, 1)
                message = consumer.poll(0.02)
                if message is not None and message.error() is None:
                    partition = assignment.get(message.topic(), message.partition())
                    assert not all_paused
                    assert partition not in paused
                other.consumer.poll(0.0)
        assignment.resume_all(consumer)
        assignment.resume(consumer, list(paused))
        _produce(kafka, places, 1)
        brokers = Brokers(AdminClient({"bootstrap.servers": kafka.bootstrap}))
        ends = brokers.ends(PartitionId(*place) for place in places)
        last = {(*place, end - 1) for place, end in ends.items()}
        _read(consumer, lambda read: last <= set(read))


def test_who_was_shut_out_of_the_group_has_no_generation(
    kafka: Kafka, topic_factory: TopicFactory
) -> None:
    """Though it still holds its partitions: brokers would take its transactions unseen."""
    topic = topic_factory(partitions=2)
    member = Member(kafka, uuid.uuid4().hex, [topic], "classic")
    member.consumer.close()
    member.consumer = Consumer({**member.properties, "max.poll.interval.ms": 3_000})
    with closing(member):
        member.join()
        eventually("it is a member", lambda: shared_out([member], 2))
        assert generation(member.consumer) is not None
        eventually("it is shut out", lambda: not member.consumer.memberid())
        assert len(member.consumer.assignment()) == 2
        assert generation(member.consumer) is None


def _assignment(kafka: Kafka, member: Member) -> Assignment:
    brokers = Brokers(AdminClient({"bootstrap.servers": kafka.bootstrap}))
    tracker = OffsetTracker()
    retry = Retry(initial_seconds=0.05, max_seconds=0.1, observer=Observer())
    positions = StartPositions(
        brokers,
        TopicIds(brokers, member.topics),
        retry,
        starts_at="beginning",
        on_gone="stop",
        applied=lambda partitions: [-1] * len(partitions),
        observer=Observer(),
    )
    return Assignment(
        rebalancing=member.rebalancing,
        beside_transactions=False,
        positions=positions,
        tracker=tracker,
        settle=tracker.settle,
        observer=Observer(),
        revoke_seconds=lambda: 0.0,
        in_order=lambda: True,
        on_found=lambda _: None,
        refusal_seconds=30.0,
    )


def _polled(consumer: Consumer, assignment: Assignment, count: int) -> bool:
    consumer.poll(0.02)
    return len(assignment.partitions) == count


def _produce(kafka: Kafka, places: Sequence[tuple[str, int]], count: int) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for topic, number in places:
        for _ in range(count):
            producer.produce(topic, b"x", partition=number)
    assert producer.flush(20) == 0


def _read(
    consumer: Consumer, enough: Callable[[list[tuple[str, int, int]]], bool]
) -> list[tuple[str, int, int]]:
    """Places of the records that come until there are enough."""
    read: list[tuple[str, int, int]] = []

    def more() -> bool:
        for message in consumer.consume(1_000, 0.1):
            if message.error() is None:
                read.append((message.topic(), message.partition(), message.offset()))
            else:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
        return enough(read)

    eventually("enough is read", more, 20.0)
    return read
