"""Records that come closely, and a real worker in which they wait for each other."""

import time

from confluent_kafka import Producer

from tests.integration.testbed import Testbed

LINGER_SECONDS = 1.0
RECORDS = 100


def test_records_that_come_closely_share_batches(meters: Testbed) -> None:
    """Polls that bring records are `linger_seconds` apart, however many come one by one meanwhile."""
    producer = Producer({"bootstrap.servers": meters.cluster.bootstrap, "linger.ms": 0})
    # Not aligned: what a poll brings is one batch.
    with meters.worker(linger_seconds=LINGER_SECONDS, alignment=False) as worker:
        worker.ready()
        began = time.monotonic()
        for sent in meters.meters(RECORDS):
            producer.produce(sent.topic, sent.value, sent.key)
            assert producer.flush(30) == 0
        worker.until("all of it is committed", meters.drained)
        most = 1 + (time.monotonic() - began) / LINGER_SECONDS
        batches = worker.metric("stream_app_batch_records_count")
        assert worker.stop() == 0, worker.log
    assert 0 < batches <= most
