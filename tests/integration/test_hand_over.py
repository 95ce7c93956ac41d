"""How much of a backlog a worker's client hands over at once."""

from stream_app.config.settings import Settings
from stream_app.records.chunk import Chunk
from stream_app.worker.worker import Worker
from tests.integration.testbed import Testbed
from tests.integration.worker import Sent, eventually

RECORDS = 400
VALUE_BYTES = 50_000


def test_a_backlog_of_large_records_is_taken_as_a_backlog(meters: Testbed) -> None:
    """The client's queue holds far fewer of them than a poll may bring, and the log tells that more wait:
    the next chunk comes while the first is at work, as many as the buffer holds."""
    topic = meters.topics[0]
    value = bytes(VALUE_BYTES)
    meters.cluster.produce([Sent(topic, value, b"%d" % number) for number in range(RECORDS)])
    settings = Settings.model_validate(
        {**meters.settings, "held_bytes_total": 16 * 2**20, "chunk_buffer": 3, "http_port": 0}
    )
    worker = Worker(settings, meters.usecase)
    at_work: list[Chunk] = []
    crashes: list[BaseException] = []

    def take(chunk: Chunk) -> None:
        if chunk.records:
            at_work.append(chunk)
        else:
            worker._chunk_taken()

    worker.connect(take, crashes.append)
    try:
        eventually("three chunks are at work", lambda: len(at_work) == 3)
    finally:
        worker.drain()
    assert sum(len(chunk.records) for chunk in at_work) < RECORDS
    assert not crashes
