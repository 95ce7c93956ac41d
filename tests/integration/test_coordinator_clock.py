"""What the doctor says of a coordinator's clock, by what is stamped in a real log of offsets."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from stream_app.config.settings import Settings
from stream_app.doctor.coordinator_clock import coordinator_clock, offsets_partition
from stream_app.doctor.finding import Level
from stream_app.kafka.brokers import open_brokers
from stream_app.local import LocalKafka
from tests.integration.worker import eventually

pytestmark = pytest.mark.usefixtures("local_only")
_HOUR = 3_600


@contextmanager
def committing(bootstrap: str, group: str) -> Iterator[None]:
    """A member of the group that commits all the while."""
    done = threading.Event()

    def commit() -> None:
        with closing(Consumer({"bootstrap.servers": bootstrap, "group.id": group})) as consumer:
            consumer.subscribe(["orders"])
            offset = 0
            while not done.is_set():
                consumer.poll(0.1)
                offset += 1
                try:
                    consumer.commit(
                        offsets=[TopicPartition("orders", 0, offset)], asynchronous=False
                    )
                except KafkaException:
                    continue  # it has not joined yet

    thread = threading.Thread(target=commit)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_clock_that_was_ahead_once_is_no_warning() -> None:
    """It was mended; what was stamped then stays in the log for long, and can be told from new stamps."""
    with (
        LocalKafka(topics={"orders": 1}) as kafka,
        committing(kafka.bootstrap, "g"),
        closing(open_brokers(Settings(bootstrap_servers=kafka.bootstrap), "g")) as brokers,
    ):
        brokers.check_group_right("g")  # waits for the group's coordinator
        eventually("it has joined", lambda: brokers.members("g"))

        def says() -> tuple[Level, str]:
            (found,) = coordinator_clock(brokers, "g")
            return found.level, found.text

        assert says() == (
            Level.OK,
            "the broker that coordinates group g has the time of the clock here",
        )
        # Brokers let this client write there. A key of a kind that they do not know is none of theirs.
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "client.id": "__admin_client"})
        topic, number = offsets_partition(
            "g", brokers.partitions("__consumer_offsets", "asking for the log of offsets")
        )
        producer.produce(
            topic, b"", b"\x7f\xff", number, timestamp=int((time.time() + _HOUR) * 1_000)
        )
        assert producer.flush(30) == 0
        level, text = says()
        assert level is Level.OK
        assert "were once stamped 3," in text
