"""The producer of the open loop: a process that keeps its schedule whatever a consumer does.

    python -m benchmarks.contest.sender BOOTSTRAP

It reads a line of JSON for each load, ``{"first": 0, "count": 5000, "rate": 1000}``, sends those flights of
the year 2013 with the moments at which they were due as timestamps, and answers with a line that says
when the first one was due and by how much the latest one was late.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import date
from typing import Final

from confluent_kafka import Producer

from benchmarks.contest.schedule import Schedule
from features.flights.data.year import Record, records

__all__ = ["FIRST_DAY", "send"]

#: Each flight of the year has an id of its own: nothing is sent twice.
FIRST_DAY: Final = date(2013, 1, 1)

_LEAD_SECONDS: Final = 0.2
_TICK_SECONDS: Final = 0.001


def send(producer: Producer, workload: list[Record], rate: float) -> dict[str, float]:
    """Send the records as they are due; return when the first was, and the greatest lateness."""
    schedule = Schedule(time.time() + _LEAD_SECONDS, rate, len(workload))
    sent, latest = 0, 0.0
    while sent < len(workload):
        now = time.time()
        due = schedule.due_by(now)
        if due > sent:
            latest = max(latest, now - schedule.at(sent))
        for number in range(sent, due):
            record = workload[number]
            producer.produce(
                record.topic, record.value, record.key, timestamp=int(schedule.at(number) * 1_000)
            )
        sent = due
        producer.poll(0)
        time.sleep(_TICK_SECONDS)
    producer.flush()
    return {"start": schedule.start, "late_seconds": latest}


def main() -> None:
    """Serve requests until the input ends."""
    producer = Producer(
        {
            "bootstrap.servers": sys.argv[1],
            # As long as other producers of Kafka 4 do (KIP-1030): a request for each record would keep
            # a core of the brokers busy, and the latency would be that of a full machine.
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for line in sys.stdin:
        asked = json.loads(line)
        end = asked["first"] + asked["count"]
        workload = list(records(FIRST_DAY, end))[asked["first"] :]
        print(json.dumps(send(producer, workload, asked["rate"])), flush=True)


if __name__ == "__main__":
    main()
