"""What a worker costs that has nothing to do, what a scrape costs it, and how soon it predicts.

    python -m benchmarks.at_rest --rounds 3 --idle-seconds 20

The first prediction is timed from the launch of the process to the moment at which a consumer has it, with one
event waiting in the topic: the interpreter's start, all imports, the checks of models and services and the
joining of the group are in it. `cold`: no module has been compiled to bytecode before, as at the first start
of an image that was built without. A worker at rest keeps its partitions; the stream is quiet.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from benchmarks.scrape import Scraped, scrape
from benchmarks.workload import load, publish
from demo.worker import Worker
from features.flights import usecase
from stream_app.local import LocalServices

_SETTLE_SECONDS: Final = 5.0
_DEADLINE_SECONDS: Final = 60.0
_SCRAPES: Final = 200
_PREFIX: Final = "PYTHONPYCACHEPREFIX"


def main() -> None:
    """Measure in turns, and print medians."""
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.at_rest", description=__doc__.splitlines()[0]
    )
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--idle-seconds", type=float, default=20.0)
    options = arguments.parse_args()
    topics = {topic.name: topic.partitions for topic in usecase.topics}
    outputs = dict.fromkeys((usecase.predictions_topic, usecase.dead_letters_topic), 8)
    found: dict[str, list[float]] = {}
    with LocalServices(topics=topics | outputs) as services:
        asking = next(r for r in load(1_000) if r.topic == "flights.boarding")
        publish(services.kafka, [asking])
        for number in range(options.rounds):
            for name in ("warm", "cold"):
                idle = options.idle_seconds if name == "warm" else 0.0
                for key, value in _started(services, f"rest-{name}-{number}", name, idle).items():
                    found.setdefault(key, []).append(value)
                    print(f"{key}: {value:.4g}", flush=True)
    print(json.dumps({key: round(statistics.median(each), 4) for key, each in found.items()}))


def _started(services: LocalServices, application: str, name: str, idle: float) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as empty:
        if name == "cold":
            os.environ[_PREFIX] = empty
        try:
            worker = Worker(
                "features.flights:usecase",
                application=application,
                bootstrap_servers=services.kafka,
                redis_url=services.redis,
            )
        finally:
            os.environ.pop(_PREFIX, None)
        with worker, _Predictions(services.kafka) as predictions:
            launched = time.perf_counter()
            worker.start()
            predictions.wait(worker)
            result = {f"first_prediction_seconds_{name}": time.perf_counter() - launched}
            if idle:
                time.sleep(_SETTLE_SECONDS)
                result |= _at_rest(worker, idle) | _scraped(worker)
            worker.stop()
    return result


class _Predictions:
    """Reads the topic of predictions from where it ends now."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "at-rest"})
        topic = usecase.predictions_topic
        partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = [
            TopicPartition(
                topic, n, self._consumer.get_watermark_offsets(TopicPartition(topic, n))[1]
            )
            for n in partitions
        ]
        self._consumer.assign(ends)

    def wait(self, worker: Worker) -> None:
        """Return when there is one; raises `SystemExit` where none comes."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while time.monotonic() < deadline:
            message = self._consumer.poll(0.1)
            if message is not None and message.error() is None:
                return
            worker.check()
        raise SystemExit(f"no prediction within {_DEADLINE_SECONDS:g} s")

    def __enter__(self) -> _Predictions:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()


def _at_rest(worker: Worker, seconds: float) -> dict[str, float]:
    before, begun = _now(worker), time.perf_counter()
    time.sleep(seconds)
    after, ended = _now(worker), time.perf_counter()
    return {
        "idle_share_of_a_core": (after.cpu_seconds - before.cpu_seconds) / (ended - begun),
        "idle_rss_mib": after.rss_bytes / 2**20,
    }


def _scraped(worker: Worker) -> dict[str, float]:
    before = _now(worker)
    took = []
    for _ in range(_SCRAPES):
        begun = time.perf_counter()
        after = _now(worker)
        took.append(time.perf_counter() - begun)
    return {
        "scrape_cpu_milliseconds": (after.cpu_seconds - before.cpu_seconds) / _SCRAPES * 1e3,
        "scrape_milliseconds": statistics.median(took) * 1e3,
    }


def _now(worker: Worker) -> Scraped:
    found = scrape(worker.address)
    if found is None:
        worker.check()
        raise SystemExit("the worker does not answer at /metrics")
    return found


if __name__ == "__main__":
    main()
