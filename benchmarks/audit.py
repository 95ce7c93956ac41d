"""How much memory and time an audit takes: ``python -m benchmarks.audit --records 1000000``.

A real Kafka is filled with real flights and with what came of them, but for three records; then
`stream-app audit` runs as a process of its own, which must find just these three.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.audited import PREFIX, usecase
from benchmarks.workload import load
from features.flights.data.year import Record
from stream_app.kafka.brokers import Brokers
from stream_app.local import LocalServices, create_topics
from stream_app.records.record_id import RecordId
from stream_app.text.moments import rfc3339
from stream_app.wire.prediction import source_headers

__all__ = ["LEFT_OUT", "Measured", "fill", "measure"]

#: Records that no prediction is published for.
LEFT_OUT = 3

_CHUNK = 50_000

_PREDICTION = (
    '{"prediction_id":"%s","event_id":%s,"event_time":"%s","score":%.6f,"late":false,'
    '"model":{"name":"flights-late","version":"champion-1"},"served_by":"champion",'
    '"degraded":null,"state_freshness_seconds":0.0}'
)

# The peak of the process itself: what the system counts for a child begins with its parent's.
_RUN = """
import atexit, sys
from stream_app.cli import main
def peak():
    status = open("/proc/self/status").read()
    print(status.partition("VmHWM:")[2].split()[0], file=sys.stderr)
atexit.register(peak)
main()
"""


@dataclass(frozen=True)
class Measured:
    """One audit."""

    report: dict[str, Any]
    status: int
    seconds: float
    peak_bytes: int
    """Of the memory that was resident."""


def fill(bootstrap: str, records: int) -> None:
    """Publish events, predictions and committed offsets."""
    topics = {topic.name: topic.partitions for topic in usecase.topics}
    out = dict.fromkeys((usecase.predictions_topic, usecase.dead_letters_topic), 8)
    create_topics(bootstrap, topics | out)
    described = Brokers(AdminClient({"bootstrap.servers": bootstrap})).topics(topics)
    ids = {name: topic.topic_id for name, topic in described.items()}
    asking = f"{PREFIX}flights.boarding"
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 500_000,
        }
    )
    ends: dict[tuple[str, int], int] = {}
    asked = 0
    for chunk in _chunks(records):
        places: list[tuple[int, int, Record]] = []

        def delivered(
            record: Record,
            error: Any,
            message: Any,
            places: list[tuple[int, int, Record]] = places,
        ) -> None:
            assert error is None, error
            place = message.topic(), message.partition()
            ends[place] = max(ends.get(place, 0), message.offset() + 1)
            if place[0] == asking:
                places.append((place[1], message.offset(), record))

        for record in chunk:
            topic = PREFIX + record.topic
            producer.produce(
                topic, record.value, record.key, on_delivery=partial(delivered, record)
            )
            producer.poll(0)
        producer.flush()
        for partition, offset, record in places:
            asked += 1
            if asked <= LEFT_OUT:
                continue
            named = str(RecordId(ids[asking], partition, offset))
            headers = source_headers(named, asking, partition, offset)
            event_id = json.dumps(json.loads(record.value)["event_id"])
            value = _PREDICTION % (named, event_id, rfc3339(record.event_time), offset / 2**20)
            producer.produce(usecase.predictions_topic, value, record.key, headers=headers)
            producer.poll(0)
        producer.flush()
    member = Consumer({"bootstrap.servers": bootstrap, "group.id": usecase.name})
    member.commit(
        offsets=[TopicPartition(*place, end) for place, end in ends.items()], asynchronous=False
    )
    member.close()


def _chunks(records: int) -> Iterator[list[Record]]:
    """As many records as asked for, a chunk in memory at a time; the first chunk is repeated."""
    chunk = load(min(records, _CHUNK))
    for start in range(0, records, _CHUNK):
        yield list(islice(chunk, records - start))


def measure(bootstrap: str, *arguments: str) -> Measured:
    """Audit in a process of its own."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _RUN, "audit", "benchmarks.audited:usecase", "--json", *arguments],
        env={**os.environ, "STREAM_APP_BOOTSTRAP_SERVERS": bootstrap},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    assert done.stdout, done.stderr
    peak = int(done.stderr.split()[-1]) * 1_024
    return Measured(json.loads(done.stdout), done.returncode, seconds, peak)


def main() -> None:
    """Measure, and print one line."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--records", type=int, default=1_000_000)
    records = arguments.parse_args().records
    with LocalServices(redis=False) as services:
        fill(services.kafka, records)
        found = measure(services.kafka)
    print(
        f"{found.report['records']:,} records: {found.seconds:.1f} s, "
        f"peak {found.peak_bytes / 2**20:.0f} MiB, missing {found.report['missing']}, "
        f"status {found.status}"
    )


if __name__ == "__main__":
    main()
