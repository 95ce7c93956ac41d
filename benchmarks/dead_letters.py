"""How fast dead letters are listed and replayed: ``python -m benchmarks.dead_letters``.

A real Kafka is filled with letters of the demo's flights over a day; `stream-app dlq ls` of an hour of
them and `stream-app dlq replay` of 100,000 run as processes of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping

from confluent_kafka import Producer

from benchmarks.workload import load
from stream_app.config.usecase import load_usecase
from stream_app.features.usecase import UseCase
from stream_app.kafka.brokers import Brokers
from stream_app.local import LocalServices, create_topics
from stream_app.text.moments import rfc3339
from stream_app.wire.dead_letter import DeadLetter

__all__ = ["fill", "measure"]

_SPEC = "features.flights:usecase"
_DAY = 86_400


def fill(services: LocalServices, usecase: UseCase, count: int, began: float) -> None:
    """Letters of flights, evenly over a day."""
    from confluent_kafka.admin import AdminClient

    topics = {topic.name: topic.partitions for topic in usecase.topics}
    out = dict.fromkeys((usecase.predictions_topic, usecase.dead_letters_topic), 4)
    create_topics(services.kafka, topics | out, {"retention.ms": "-1"})
    brokers = Brokers(AdminClient({"bootstrap.servers": services.kafka}))
    ids = {name: topic.topic_id for name, topic in brokers.topics(topics).items()}
    records = load(min(count, 20_000))
    producer = Producer({"bootstrap.servers": services.kafka, "linger.ms": 20})
    for number in range(count):
        record = records[number % len(records)]
        at = began + number * _DAY / count
        said = DeadLetter(
            record.topic, ids[record.topic], number % topics[record.topic], number, rfc3339(at),
            usecase.name, "decode", "missing-field", "carrier: Field required", "carrier", "poison",
            1, "1", "flights-late/1", rfc3339(at), "not-applied",
        )  # fmt: skip
        while True:
            try:
                producer.produce(
                    usecase.dead_letters_topic, record.value, record.key, timestamp=round(at * 1e3),
                    headers=said.headers(),
                )  # fmt: skip
            except BufferError:
                producer.poll(0.1)
            else:
                break
    producer.flush(120)


def measure(environment: Mapping[str, str], *arguments: str) -> tuple[float, str]:
    """Run a command; return the seconds it took and what it printed."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "stream_app", "dlq", *arguments],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    return time.perf_counter() - began, done.stdout


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--letters", type=int, default=1_000_000)
    parser.add_argument("--replayed", type=int, default=100_000)
    asked = parser.parse_args()
    usecase = load_usecase(_SPEC)
    began = time.time() - _DAY
    with LocalServices() as services:
        fill(services, usecase, asked.letters, began)
        environment = {
            **os.environ,
            "STREAM_APP_USECASE": _SPEC,
            "STREAM_APP_BOOTSTRAP_SERVERS": services.kafka,
            "STREAM_APP_REDIS_URL": services.redis,
            "STREAM_APP_REPLAY_SECRET": "a secret of the benchmark alone".replace(" ", "-"),
        }
        hour = [rfc3339(round(began + _DAY / 2 + hours * 3_600)) for hours in (0, 1)]
        between = ("--since", hour[0], "--until", hour[1], "--limit", "1000000")
        for name, arguments in (
            ("ls, the newest 50", ("ls",)),
            ("ls of an hour, its newest 1,000", ("ls", *between[:-1], "1000")),
            ("ls of an hour, all of it", ("ls", *between)),
        ):
            seconds, printed = measure(environment, *arguments)
            print(f"{name}: {seconds:.2f} s, {len(printed.splitlines()):,} letters")
        replay = ("replay", "--everything", "--limit", str(asked.replayed), "--json")
        for name, more in (
            ("replay, dry run", ()), ("replay --yes", ("--yes",)),
            ("replay --untried --yes of as many more", ("--untried", "--yes")),
        ):  # fmt: skip
            seconds, printed = measure(environment, *replay, *more)
            told = json.loads(printed)
            print(f"{name}: {seconds:.1f} s, {told['selected']:,} letters, left {told['left']:,}")


if __name__ == "__main__":
    main()
