"""What a worker with nothing to do uses, and what a scrape of its metrics costs: ``python -m benchmarks.idle``.

CPU time of the worker's process, as it tells it itself, for so many seconds without a record, and for so
many scrapes one after the other. A part of the backlog is drained first, so that every metric is there.
"""

from __future__ import annotations

import argparse
import json
import time

from benchmarks.scrape import Scraped, metrics_text, scrape
from benchmarks.throughput import circumstances
from benchmarks.workload import all_topics, load, publish
from demo.worker import Worker
from stream_app.local import LocalServices

__all__ = ["main"]


def main() -> None:
    """Print the share of a core and the milliseconds of a scrape."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--scrapes", type=int, default=100)
    options = parser.parse_args()
    with LocalServices(topics=all_topics()) as services:
        publish(services.kafka, load(options.events))
        with Worker(
            "features.flights:usecase",
            application="bench-idle",
            bootstrap_servers=services.kafka,
            redis_url=services.redis,
        ) as worker:
            worker.start()
            while not worker.is_ready or _scraped(worker).records < options.events:
                worker.check()
                time.sleep(0.25)
            time.sleep(3.0)  # the last commits, and the first seconds of quiet
            before, began = _cpu(worker), time.monotonic()
            time.sleep(options.seconds)
            idle = (_cpu(worker) - before) / (time.monotonic() - began)
            before, began = _cpu(worker), time.monotonic()
            for _ in range(options.scrapes):
                size = len(metrics_text(worker.address) or "")
            wall = time.monotonic() - began
            scrape = (_cpu(worker) - before - idle * wall) / (options.scrapes + 1)
            worker.stop()
    print(
        json.dumps(
            {
                "idle_percent_of_a_core": round(idle * 100.0, 2),
                "scrape_cpu_milliseconds": round(scrape * 1e3, 2),
                "scrape_bytes": size,
                "scrape_every_15_s_percent_of_a_core": round(scrape / 15.0 * 100.0, 3),
            }
            | circumstances()
        )
    )


def _scraped(worker: Worker) -> Scraped:
    found = scrape(worker.address)
    if found is None:
        raise SystemExit("the worker does not answer")
    return found


def _cpu(worker: Worker) -> float:
    return _scraped(worker).cpu_seconds


if __name__ == "__main__":
    main()
