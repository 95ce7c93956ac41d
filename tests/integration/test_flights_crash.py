"""The demo's main path under kill -9: every fate of 20,000 real events, from the topics alone."""

import time
from collections.abc import Callable

import pytest
from confluent_kafka import Producer

from demo.fates import account
from demo.observation import Observation
from demo.offline import decoded
from demo.plan import plan
from demo.topics import Offsets, Reader
from demo.worker import Worker
from features.flights import usecase
from stream_app.local import LocalServices, create_topics
from stream_app.records.places import PartitionId, Place

EVENTS = 20_000
INPUTS = [PartitionId(topic.name, n) for topic in usecase.topics for n in range(topic.partitions)]
OUTPUTS = [
    PartitionId(topic, n)
    for topic in (usecase.predictions_topic, usecase.dead_letters_topic)
    for n in range(8)
]


def publish(bootstrap: str) -> dict[Place, str | None]:
    """Write the events and as many malformed records as the demo; return what must come of each."""
    expected: dict[Place, str | None] = {}
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 16 * 2**20})
    for planned in plan(EVENTS, 0.01):

        def note(error, message, reason=planned.reason) -> None:  # type: ignore[no-untyped-def]
            assert error is None
            expected[Place(message.topic(), message.partition(), message.offset())] = reason

        producer.produce(planned.topic, planned.value, planned.key, on_delivery=note)
        producer.poll(0)
    assert producer.flush(60.0) == 0
    return expected


def wait_until(reached: Callable[[], bool], worker: Worker) -> None:
    """Wait for a condition while the worker runs."""
    deadline = time.monotonic() + 120.0
    while not reached():
        worker.check()
        assert time.monotonic() < deadline, "not reached in time"
        time.sleep(0.05)


@pytest.mark.timeout(290)
def test_nothing_is_lost_when_the_worker_is_killed_in_the_middle(
    request: pytest.FixtureRequest,
) -> None:
    """Killed twice and started again: each event met its fate, and what came twice has one id."""
    if request.config.getoption("--services") == "none":
        pytest.skip("--services=none was asked for")
    topics = {topic.name: topic.partitions for topic in usecase.topics}
    outputs = dict.fromkeys((usecase.predictions_topic, usecase.dead_letters_topic), 8)
    with LocalServices() as services:
        # Some malformed records are larger than brokers take by default.
        large = {"max.message.bytes": str(16 * 2**20)}
        create_topics(services.kafka, topics | outputs, large)
        expected = publish(services.kafka)
        offsets = Offsets(services.kafka, usecase.name)
        ends = offsets.ends(INPUTS)

        def committed() -> float:
            return sum(offsets.committed(INPUTS).values()) / sum(ends.values())

        for share in (0.2, 0.5, 1.0):
            with Worker(
                "features.flights:usecase",
                application=usecase.name,
                bootstrap_servers=services.kafka,
                redis_url=services.redis,
                session_timeout_seconds="6",
            ) as worker:
                worker.start()
                wait_until(lambda share=share: committed() >= share, worker)  # type: ignore[misc]
                if share == 1.0:
                    assert worker.stop() == 0
            # Leaving the block kills it (SIGKILL) where it was not stopped.
        seen = Observation(usecase)
        partitions = [*INPUTS, *OUTPUTS]
        with Reader(services.kafka, partitions) as reader:
            for messages in reader.read_to(offsets.ends(partitions)):
                seen.take(messages)
        left = offsets.committed(INPUTS)
    events = decoded(usecase, seen.sources, expected)
    fates = account(seen, events, usecase.features.triggers, expected, left)
    assert fates.lost == 0
    assert fates.unexpected == []
    assert fates.events == EVENTS + EVENTS // 100
    assert fates.predicted + fates.state_only + fates.dead_lettered == fates.events
