"""The demo's use case when Redis loses everything: a fallback serves until the state is back."""

import json
import urllib.request
from collections import Counter

import pytest
from redis import Redis

from benchmarks.workload import load, publish
from demo.topics import Offsets, Reader
from demo.worker import Worker
from features.flights import usecase
from stream_app.audit import audit
from stream_app.config.settings import Settings
from stream_app.local import LocalServices
from stream_app.records.places import PartitionId
from tests.integration.test_flights_crash import wait_until

INPUTS = [PartitionId(topic.name, n) for topic in usecase.topics for n in range(topic.partitions)]
PREDICTIONS = [PartitionId(usecase.predictions_topic, n) for n in range(8)]


def served(services: LocalServices) -> list[tuple[str, str | None]]:
    """Who served each prediction and why, in the order of their partitions."""
    found = []
    with Reader(services.kafka, PREDICTIONS) as reader:
        for messages in reader.read_to(Offsets(services.kafka, "reader").ends(PREDICTIONS)):
            for message in messages:
                value = json.loads(message.value() or b"")
                found.append((value["served_by"], value["degraded"]))
    return found


def rebuilding(worker: Worker) -> bool:
    """Whether the state of any partition is behind its log."""
    with urllib.request.urlopen(f"http://{worker.address}/metrics", timeout=10.0) as answer:
        lines = answer.read().decode().splitlines()
    (value,) = [x.split()[1] for x in lines if x.startswith("stream_app_rebuilding_partitions ")]
    return float(value) > 0.0


@pytest.mark.timeout(290)
def test_a_fallback_serves_while_the_state_is_rebuilt(request: pytest.FixtureRequest) -> None:
    """Records are answered at once, and say by whom and why; in the end the state is the log's."""
    if request.config.getoption("--services") == "none":
        pytest.skip("--services=none was asked for")
    events = load(24_000)
    topics = {topic.name: topic.partitions for topic in usecase.topics}
    outputs = dict.fromkeys((usecase.predictions_topic, usecase.dead_letters_topic), 8)
    with LocalServices(topics=topics | outputs) as services:
        offsets = Offsets(services.kafka, usecase.name)
        settings = {"bootstrap_servers": services.kafka, "redis_url": services.redis}

        def drained() -> bool:
            return offsets.committed(INPUTS) == {
                place: end for place, end in offsets.ends(INPUTS).items() if place in INPUTS
            }

        def committed() -> int:
            return sum(offsets.committed(INPUTS).values())

        publish(services.kafka, events)
        # Small batches: the worker is in the middle of its backlog when the state goes.
        with Worker(
            "features.flights:usecase",
            application=usecase.name,
            **settings,
            batch_max_records="200",
        ) as worker:
            worker.start()
            wait_until(lambda: committed() > 8_000, worker)
            with Redis.from_url(services.redis) as redis:
                redis.flushall()
            assert not drained(), "the backlog is too small for this test"
            wait_until(drained, worker)
            # What is served meanwhile is committed, and the log's end may come before the state's.
            wait_until(lambda: not rebuilding(worker), worker)
            assert worker.stop() == 0
        counts = Counter(served(services))
        assert set(counts) == {("champion", None), ("flights-late-static", "state-rebuilding")}
        assert min(counts.values()) > 100
        report = audit(Settings(**settings), usecase, recompute_state=True)  # type: ignore[arg-type]
        assert report.exit_status == 0, report.as_json()
        assert report.as_json()["records"] == len(events)
