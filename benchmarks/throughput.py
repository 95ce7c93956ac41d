"""The worker with everything on, beside the in-process work alone, in one run.

    python -m benchmarks.throughput --events 200000 --rounds 3

The worker drains a backlog from a real Kafka, with its state in a real Redis; it is timed from the
first record to the last committed offset, its start apart. CPU seconds are the worker process's
own; brokers, Redis and this program are not in them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from benchmarks.in_process import Work, work_alone
from benchmarks.workload import load, publish
from demo.topics import Offsets, Partition
from demo.worker import ROOT, Worker
from features.flights import usecase
from stream_app.local import LocalServices

_DEADLINE_SECONDS = 600.0


def main() -> None:
    """Run the contenders in turn and print medians and ratios."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--events", type=int, default=200_000)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    workload = load(options.events)
    event_topics = {topic.name: topic.partitions for topic in usecase.topics}
    outputs = dict.fromkeys((usecase.predictions_topic, usecase.dead_letters_topic), 8)
    alone: list[Work] = []
    workers: list[dict[str, float]] = []
    with LocalServices(topics=event_topics | outputs) as services:
        publish(services.kafka, workload)
        for number in range(options.rounds):
            alone.append(_in_own_process(options.events))
            workers.append(_drain(services, f"bench-{number}", options.events))
            _say(alone[-1], workers[-1])
    _summarise(alone, workers)


def _alone(events: int) -> Work:
    return work_alone(load(events), usecase, ROOT / "artifacts")


def _in_own_process(events: int) -> Work:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_alone, events).result()


def _drain(services: LocalServices, application: str, events: int) -> dict[str, float]:
    offsets = Offsets(services.kafka, application)
    partitions = [Partition(t.name, n) for t in usecase.topics for n in range(t.partitions)]
    ends = offsets.ends(partitions)
    launched = time.perf_counter()
    with Worker(
        "features.flights:usecase",
        application=application,
        bootstrap_servers=services.kafka,
        redis_url=services.redis,
    ) as worker:
        worker.start()
        begun = _wait(worker, lambda m: m["records"] > 0)
        first_seconds = time.perf_counter() - launched
        started, cpu, done = time.perf_counter(), begun["cpu"], begun["records"]
        finished = _wait(worker, lambda m: m["records"] >= events)
        wall = time.perf_counter() - started
        while any(offsets.committed(ends).get(p, 0) < end for p, end in ends.items()):
            worker.check()
            time.sleep(0.05)
        worker.stop()
    count = finished["records"] - done
    return {
        "rate": count / wall,
        "cpu_us": (finished["cpu"] - cpu) / count * 1e6,
        "first_seconds": first_seconds,
        "rss_mib": finished["rss"] / 2**20,
        "rss_begin_mib": begun["rss"] / 2**20,
    }


def _wait(worker: Worker, reached) -> dict[str, float]:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        worker.check()
        metrics = _metrics(worker.address)
        if metrics is not None and reached(metrics):
            return metrics
        time.sleep(0.05)
    raise SystemExit("the worker did not finish in time")


def _metrics(address: str) -> dict[str, float] | None:
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5.0) as answer:
            text = answer.read().decode()
    except OSError:
        return None
    found = {"records": 0.0, "cpu": 0.0, "rss": 0.0}
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith("stream_app_records_total"):
            found["records"] += float(value)
        elif name == "process_cpu_seconds_total":
            found["cpu"] = float(value)
        elif name == "process_resident_memory_bytes":
            found["rss"] = float(value)
    return found


def _say(alone: Work, worker: dict[str, float]) -> None:
    print(
        f"work alone {alone.rate:,.0f} events/s, {alone.cpu_microseconds:.1f} us CPU an event; "
        f"worker {worker['rate']:,.0f} events/s, {worker['cpu_us']:.1f} us; "
        f"ratio {worker['rate'] / alone.rate:.2f}; first record {worker['first_seconds']:.1f} s "
        f"after launch; memory {worker['rss_begin_mib']:.0f} -> {worker['rss_mib']:.0f} MiB",
        flush=True,
    )


def _summarise(alone: list[Work], workers: list[dict[str, float]]) -> None:
    def median(values: list[float]) -> float:
        return round(statistics.median(values), 3)

    print(
        json.dumps(
            {
                "alone_events_per_second": median([a.rate for a in alone]),
                "alone_cpu_seconds_per_million": median([a.cpu_microseconds for a in alone]),
                "worker_events_per_second": median([w["rate"] for w in workers]),
                "worker_cpu_seconds_per_million": median([w["cpu_us"] for w in workers]),
                "ratio": median([w["rate"] / a.rate for a, w in zip(alone, workers, strict=True)]),
                "cores": os.cpu_count(),
                "python": sys.version.split()[0],
                "commit": subprocess.run(
                    ["git", "rev-parse", "--short", "HEAD"],
                    capture_output=True,
                    text=True,
                    check=False,
                ).stdout.strip(),
            }
        )
    )


if __name__ == "__main__":
    main()
