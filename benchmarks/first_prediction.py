"""How soon a worker predicts after it was launched: ``python -m benchmarks.first_prediction``.

Timed until a consumer has the prediction of one event that waits in the topic: the interpreter's start, all
imports, the checks of models and services and the joining of the group are in it. Cold: no module has been
compiled to bytecode before, as at the first start of an image that was built without.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from benchmarks.page_section import measured_at, put_into
from benchmarks.scrape import Scraped, scrape
from benchmarks.workload import all_topics, load, publish
from demo.topics import Offsets
from demo.worker import ROOT, Worker
from features.flights import usecase
from stream_app.local import LocalServices
from stream_app.records.places import PartitionId

_DEADLINE_SECONDS: Final = 60.0
_PAGE: Final = ROOT / "docs" / "where-a-microsecond-goes.md"
_COMMAND: Final = "python -m benchmarks.first_prediction --page"
_SAID: Final = {
    "first_prediction_seconds_warm": "first prediction, seconds after launch",
    "first_prediction_cpu_seconds_warm": "CPU seconds until then",
    "first_prediction_seconds_cold": "first prediction where no module has bytecode, seconds after launch",
    "first_prediction_cpu_seconds_cold": "CPU seconds until then, without bytecode",
}
_PREFIX: Final = "PYTHONPYCACHEPREFIX"


def main() -> None:
    """Measure in turns, and print medians."""
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.first_prediction", description=__doc__.splitlines()[0]
    )
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--page", action="store_true", help=f"write it into {_PAGE.name}")
    options = arguments.parse_args()
    found: dict[str, list[float]] = {}
    with LocalServices(topics=all_topics()) as services:
        asking = next(r for r in load(1_000) if r.topic == "flights.boarding")
        publish(services.kafka, [asking])
        # A broker that has just started makes its topic of offsets when a group is first asked for: that
        # takes two seconds, and is no worker's time.
        Offsets(services.kafka, "first-prediction").committed([PartitionId(asking.topic, 0)])
        for number in range(options.rounds):
            for name in ("warm", "cold"):
                for key, value in _started(services, f"first-{name}-{number}", name).items():
                    found.setdefault(key, []).append(value)
                    print(f"{key}: {value:.4g}", flush=True)
    medians = {key: statistics.median(each) for key, each in found.items()}
    print(json.dumps({key: round(value, 4) for key, value in medians.items()}))
    if options.page:
        _PAGE.write_text(put_into(_PAGE.read_text(), _COMMAND, _table(medians, options.rounds)))


def _table(medians: Mapping[str, float], rounds: int) -> str:
    lines = [f"| {_SAID[key]} | {value:.3g} |" for key, value in medians.items()]
    head = ["| of a start | |", "|---|---|"]
    return "\n".join([*head, *lines, "", f"Medians of {rounds} rounds; {measured_at()}."])


def _started(services: LocalServices, application: str, name: str) -> dict[str, float]:
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
            result = {
                f"first_prediction_seconds_{name}": time.perf_counter() - launched,
                f"first_prediction_cpu_seconds_{name}": _now(worker).cpu_seconds,
            }
            worker.stop()
    return result


class _Predictions:
    """Reads the topic of predictions from where it ends now."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "first-prediction"})
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


def _now(worker: Worker) -> Scraped:
    found = scrape(worker.address)
    if found is None:
        worker.check()
        raise SystemExit("the worker does not answer at /metrics")
    return found


if __name__ == "__main__":
    main()
