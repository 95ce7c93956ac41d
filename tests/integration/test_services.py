"""The fixtures themselves, wherever the services come from."""

import uuid
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from tests.services import Kafka, TopicFactory

if TYPE_CHECKING:
    from redis import Redis


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_record_goes_through_the_broker(
    kafka: Kafka, topic_factory: TopicFactory, protocol: str
) -> None:
    """What is produced to a topic of the factory is read by a group of either protocol."""
    topic = topic_factory("events", partitions=2)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    producer.produce(topic, b"payload", b"key")
    assert producer.flush(30) == 0
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": uuid.uuid4().hex,
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
        }
    )
    try:
        consumer.subscribe([topic])
        message = consumer.poll(30)
        assert message is not None
        assert (message.key(), message.value()) == (b"key", b"payload")
    finally:
        consumer.close()


def test_a_transaction_is_read_whole(kafka: Kafka, topic_factory: TopicFactory) -> None:
    """A committed transaction is seen under read_committed, an aborted one is not."""
    topic = topic_factory("transactions")
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "transactional.id": uuid.uuid4().hex}
    )
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"aborted")
    assert producer.flush(30) == 0
    producer.abort_transaction(30)
    producer.begin_transaction()
    producer.produce(topic, b"committed")
    producer.commit_transaction(30)
    consumer = Consumer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "group.id": uuid.uuid4().hex,
            "isolation.level": "read_committed",
        }
    )
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(30)
        assert message is not None
        assert message.value() == b"committed"
    finally:
        consumer.close()


def test_redis_is_empty_for_each_test(redis: "Redis") -> None:
    """The redis fixture begins with no keys and takes new ones."""
    assert redis.dbsize() == 0
    redis.set("key", b"value")
    assert redis.get("key") == b"value"


def test_topics_of_the_factory_never_meet(topic_factory: TopicFactory) -> None:
    """Two topics asked for by the same name are two topics."""
    assert topic_factory("events") != topic_factory("events")
