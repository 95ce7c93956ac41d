"""Headers that the library cannot read are found out each time, not only the first few times."""

from confluent_kafka import Consumer, TopicPartition

from stream_app.records.partition import Partition
from stream_app.records.record import Record
from tests.raw_records import RawRecord, write
from tests.services import Kafka, TopicFactory

_RECORDS = 60


def test_a_name_that_is_not_utf_8_is_found_out_each_time(
    kafka: Kafka, topic_factory: TopicFactory
) -> None:
    """Python 3.11 stops checking for the library's exception after some calls from one line."""
    topic = topic_factory("odd-headers")
    odd = [RawRecord(b"{}", headers=[(b"a", b"1"), (b"\xff", b"2")])] * _RECORDS
    write(kafka.bootstrap, topic, 0, odd)
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": topic})
    consumer.assign([TopicPartition(topic, 0, 0)])
    messages = []
    while len(messages) < _RECORDS:
        messages += consumer.consume(_RECORDS, 10.0)
    partition = Partition(topic, 0, 0)
    for message in messages:
        record = Record.of(partition, message)
        assert record.refusal is not None
        assert record.refusal.reason == "invalid-headers"
        assert [value for _, value in record.headers] == [b"1", b"2"]
    consumer.close()
