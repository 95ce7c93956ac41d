"""Headers that no honest client sends, read by the real library from its own broker in memory."""

import gc
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from stream_app.records.headers import MOST_HEADERS, UNREADABLE
from stream_app.records.record import Record
from tests.raw_records import RawRecord, write
from tests.unit.builders import partition


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    """The address of librdkafka's broker in memory."""
    config = {"bootstrap.servers": "unused:1", "test.mock.num.brokers": 1, "log_level": 0}
    producer = Producer(config)
    (broker,) = producer.list_topics("hostile", timeout=20).brokers.values()
    yield f"{broker.host}:{broker.port}"
    producer.flush(1)


def test_what_the_library_cannot_read_becomes_a_record_all_the_same(bootstrap: str) -> None:
    """Key, value and what can be kept of the headers; a neighbour is as it was sent."""
    names: list[tuple[bytes, bytes | None]] = [
        (b"shift", b"\xff"), (b"\xff\xfe", b"kept"), (b"", None), (b"\xed\xa0\x80", b""),
    ]  # fmt: skip
    write(
        bootstrap,
        "hostile",
        0,
        [
            RawRecord(b"v0", b"k", names),
            RawRecord(b"v1", None, [(b"a", b"")] * 60_000),
            RawRecord(b"v2", b"k", [(b"ok", b"1")]),
            RawRecord(None, b"k", [(b"\x80", None)]),
        ],
    )
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "g", "log_level": 0})
    consumer.assign([TopicPartition("hostile", 0, 0)])
    messages = []
    while len(messages) < 4:
        messages += consumer.consume(4 - len(messages), 5.0)
    records = [Record.of(partition(topic="hostile"), message) for message in messages]
    gc.collect()  # walks what the library has left in the messages
    # Whoever asks again gets no list with a hole in it, which would end the process.
    assert [message.headers() for message in messages] == [None, None, [("ok", b"1")], None]
    consumer.close()

    assert [list(record.headers) for record in records] == [
        [("shift", b"\xff"), (UNREADABLE, b"kept"), ("", None), (UNREADABLE, b"")],
        [("a", b"")] * MOST_HEADERS,
        [("ok", b"1")],
        [(UNREADABLE, None)],
    ]
    assert [record.refusal and record.refusal.reason for record in records] == [
        "invalid-headers", "too-many-headers", None, "invalid-headers",
    ]  # fmt: skip
    assert [(record.key, record.value) for record in records] == [
        (b"k", b"v0"), (None, b"v1"), (b"k", b"v2"), (b"k", None),
    ]  # fmt: skip
    assert records[1].size < 400_000


def test_what_is_kept_can_be_published(bootstrap: str) -> None:
    """A dead letter carries the headers on."""
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    failed: list[object] = []
    kept = [("", None), (UNREADABLE, b"\xff"), *[("a", b"")] * MOST_HEADERS]
    producer.produce(
        "hostile", b"v", headers=kept, on_delivery=lambda error, _: failed.append(error)
    )
    assert producer.flush(20) == 0
    assert failed == [None]
