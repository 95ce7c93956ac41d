"""Batches of a few kilobytes that unpack to a hundred megabytes."""

from confluent_kafka import Producer

from tests.integration.testbed import Testbed
from tests.integration.worker import Worker

_MIB = 2**20
_LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_DATA, (1200 * 2**20,) * 2)
sys.argv = ["stream_app", "run"]
runpy.run_module("stream_app", run_name="__main__")
"""
"""A worker in a container of little memory."""


def bombs(testbed: Testbed, sizes: list[int], codec: str = "zstd") -> None:
    """Produce values of zeros, each a batch of its own."""
    (topic,) = testbed.topics
    producer = Producer(
        {
            "bootstrap.servers": testbed.cluster.bootstrap,
            "compression.type": codec,
            "message.max.bytes": 900 * _MIB,
            "batch.size": 900 * _MIB,
            "queue.buffering.max.kbytes": _MIB,
        }
    )
    for size in sizes:
        producer.produce(topic, bytes(size), partition=0)
        assert producer.flush(60) == 0


def test_a_batch_that_unpacks_to_more_than_is_allowed_is_named(tickets: Testbed) -> None:
    """The worker ends with a sentence that names partition and offset, and what can be done."""
    (topic,) = tickets.topics
    bombs(tickets, [1, 120 * _MIB])
    with tickets.worker() as worker:
        assert worker.wait(60) == 1, worker.tail()
        assert f"kafka refuses to deliver {topic}[0] at offset 1" in worker.log, worker.tail()
        assert "receive.message.max.bytes" in worker.log
        assert "Traceback" not in worker.log
    with tickets.worker(consumer='{"receive.message.max.bytes": "400000000"}') as worker:
        worker.until("all is done", tickets.drained)
    assert len(tickets.dead_letters()) == 2


def test_many_of_them_in_one_answer_are_read_one_by_one_in_the_end(tickets: Testbed) -> None:
    """They are more than the process may have of memory: after a start that got nowhere it asks for less."""
    bombs(tickets, [40 * _MIB] * 45)
    worker = tickets.worker(command=("-c", _LIMITED), crash_isolation_starts=1)
    with worker:
        for _ in range(8):
            if not _ends(worker, tickets):
                break
            worker.start()
        assert tickets.drained(), worker.tail()
        assert "one batch at a time" in worker.log
    assert len(tickets.dead_letters()) == 45
    assert {out.header("dead-letter.reason") for out in tickets.dead_letters()} == {
        "value-too-large"
    }


def _ends(worker: Worker, testbed: Testbed) -> bool:
    """Whether the worker ends before all is done."""
    for _ in range(600):
        if worker.wait(0.1) is not None:
            return True
        if testbed.drained():
            return False
    raise AssertionError(worker.tail())
