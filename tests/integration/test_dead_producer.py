"""A producer that dies of a fatal error, as the library itself lets it die: nothing is lost."""

import ctypes
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient

from stream_app.config.settings import Settings
from stream_app.delivery.publish import Publishing, PublishStage
from stream_app.delivery.refusals import Refusals
from stream_app.delivery.transactions import TransactionStage
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.kafka.producers import Producers
from stream_app.observer.observer import Observer
from stream_app.records.batch import Batch, Outgoing
from stream_app.records.partition import Partition
from stream_app.waiting.retry import Retry
from stream_app.wire.dead_letter import DeadLetters
from tests.integration.worker import Cluster
from tests.services import Kafka, TopicFactory
from tests.unit.builders import item, partition

RECORDS = 2_000

_AFTER_HEAD = object.__basicsize__
"""Where a client object of the library keeps its rd_kafka_t: right behind its head."""


def _library() -> ctypes.CDLL:
    folder = Path(confluent_kafka.__path__[0])
    bundled = [*folder.parent.glob("confluent_kafka.libs/librdkafka*"), *folder.glob(".dylibs/*")]
    if not bundled:
        pytest.skip("librdkafka is not bundled with confluent-kafka here")
    library = ctypes.CDLL(str(bundled[0]))
    library.rd_kafka_test_fatal_error.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
    return library


def kill(producer: Producer) -> None:
    """Let the library raise a fatal error of this producer."""
    handle = ctypes.c_void_p.from_address(id(producer) + _AFTER_HEAD)
    _library().rd_kafka_test_fatal_error(
        handle, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, b"by a test"
    )


class Made:
    """Makes real producers, and remembers them."""

    def __init__(self) -> None:
        self.producers: list[Producer] = []

    def __call__(self, properties: dict[str, Any], **options: Any) -> Producer:
        """Make one."""
        self.producers.append(Producer(properties, **options))
        return self.producers[-1]


def stage_of(delivery: str, kafka: Kafka, made: Made, dead: str) -> Publishing:
    """A way to publish as the worker builds it, without its look at topics."""
    settings = Settings(bootstrap_servers=kafka.bootstrap)
    retry = Retry(initial_seconds=0.01, max_seconds=0.1, observer=Observer(), refusal_seconds=10.0)
    refusals = Refusals(DeadLetters(dead, group="g", code_version="1", model_version="m/1"))
    if delivery == "at_least_once":
        return PublishStage(
            Producers(settings.producer_properties(), made),
            retry,
            refusals,
            has_ended=lambda _: False,
            look=lambda: None,
            stopping=lambda: False,
            observer=Observer(),
        )
    group = uuid.uuid4().hex
    consumer = Consumer(settings.consumer_properties(group))
    return TransactionStage(
        Producers(settings.transaction_properties(group, "1"), made),
        retry,
        refusals,
        OffsetTracker(),
        interval_seconds=0.0,
        timeout_seconds=10.0,
        group_metadata=consumer.consumer_group_metadata,
        committed=Brokers(
            AdminClient(settings.admin_properties()), settings.consumer_properties(group)
        ).committed_of,
        look=lambda: None,
        observer=Observer(),
    )


def batch_of(topic: str, at: Partition, number: int) -> Batch:
    """Predictions."""
    items = [item(at, number * RECORDS + n) for n in range(RECORDS)]
    outgoing = [Outgoing(topic, b"k", b"%d" % each.offset, [], at, each) for each in items]
    return Batch(number, items, outgoing=outgoing, ends={at: items[-1].offset})


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_a_fatal_error_at_any_moment_loses_nothing(
    kafka: Kafka, cluster: Cluster, topic_factory: TopicFactory, delivery: str
) -> None:
    """Before, while and after records are handed over: the successor publishes them all."""
    topic, events = topic_factory("out", 2), topic_factory("events")
    made = Made()
    stage = stage_of(delivery, kafka, made, topic_factory("dead"))
    at = partition(0, events)

    def publish(number: int, harm: Callable[[], None] = lambda: None) -> None:
        batch = batch_of(topic, at, number)
        harm()
        stage(batch)
        stage.finish(batch)
        stage.flush()

    publish(0)
    publish(1, lambda: kill(made.producers[-1]))
    for number, seconds in enumerate((0.0005, 0.002, 0.005, 0.02), start=2):
        timer = threading.Timer(seconds, lambda: kill(made.producers[-1]))
        publish(number, timer.start)
        timer.join()
    publish(6)
    stage.close()
    assert len(made.producers) > 1
    found = cluster.read(topic)
    assert {out.value for out in found} == {b"%d" % n for n in range(7 * RECORDS)}
    if delivery == "exactly_once":
        assert len(found) == 7 * RECORDS
