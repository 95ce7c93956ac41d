"""Latency in an open loop: from the moment a record was due to the moment its prediction is read.

    python -m benchmarks.contest.latency --only worker loop --loads 1000 5000

A process of its own sends flights at a steady rate and does not wait for anybody, so a consumer that stands
still for a moment is charged for all that came meanwhile. What counts is when a reader of committed records
has the prediction: for exactly once that is after the commit of its transaction. The contender runs through
all loads; the last one is 80 % of the rate at which it drained a backlog in the newest contest on file.

All contenders have the same brokers, and find their topics empty. A worker that is not measured works
before them: Java compiles a broker's code while it runs, and in its first minute takes several times the CPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition
from msgspec import json as fast_json

from benchmarks.contest.backlogs import ASKING, OUTPUTS, empty_topics, make_topics
from benchmarks.contest.contender import ROOT, Contender, Worker
from benchmarks.contest.contenders import ALONE, WARMING_UP, chosen
from benchmarks.contest.drain import DidNotRunError, Running, file_name, running, surroundings_of
from benchmarks.contest.process_tree import usage
from benchmarks.contest.results import RESULTS, Results, circumstances, last_run, read
from benchmarks.contest.schedule import Schedule, percentile
from benchmarks.contest.sender import FIRST_DAY
from benchmarks.workload import all_topics
from features.flights.data.year import records
from stream_app.local import LocalServices

__all__ = ["LOADS", "main"]

LOADS: Final = (1_000, 2_000, 5_000, 10_000)

_SHARE_OF_MOST: Final = 0.8
_BROKERS_WARM_UP: Final = (2_000, 5_000, 10_000)
"""What is sent before any contender is measured, each for `_BROKERS_WARM_UP_SECONDS`."""
_BROKERS_WARM_UP_SECONDS: Final = 10.0
_WARM_UP: Final = 5_000
"""Records that are sent to each contender before it is measured."""
_WARM_UP_RATE: Final = 1_000
_LEFT_OUT_SECONDS: Final = 1.0
_BEHIND_SECONDS: Final = 5.0
"""Who is further behind when the sender has ended does not keep up."""
_READY_SECONDS: Final = 60.0
_IDLE_SECONDS: Final = 3.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Send to each contender in turn at all loads, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contest.latency")
    parser.add_argument("--only", nargs="*", metavar="PART", help="contenders whose names hold it")
    parser.add_argument("--loads", type=int, nargs="*", default=LOADS, help="records a second")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each load")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--linger", type=float, metavar="SECONDS", help="the worker with this `linger_seconds` too"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE")
    options = parser.parse_args(arguments)
    run = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"
    most = _most(list(read(options.results)))
    results = Results(options.results, run, circumstances())
    taking_part = chosen(options.only)
    if options.linger is not None:
        taking_part.append(
            Worker(
                f"worker, linger {options.linger * 1e3:g} ms",
                "at least once",
                {"linger_seconds": str(options.linger)},
            )
        )
    with LocalServices() as services:
        make_topics(services.kafka)
        for _ in measured(
            services, WARMING_UP, _BROKERS_WARM_UP, _BROKERS_WARM_UP_SECONDS, f"{run}-w"
        ):
            pass
        for number in range(options.rounds):
            # Backwards every other time: what drifts is in the place of none.
            for contender in taking_part[:: -1 if number % 2 else 1]:
                if contender.name == ALONE or contender.missing() is not None:
                    continue
                loads = list(options.loads)
                if contender.name in most:
                    loads.append(round(_SHARE_OF_MOST * most[contender.name], -2))
                name = f"{run}-{number}"
                try:
                    for found in measured(services, contender, loads, options.seconds, name):
                        kind = "idle" if "idle_percent" in found else "latency"
                        results.add(kind, contender.name, round=number, **found)
                        print(_told(contender.name, found), flush=True)
                except DidNotRunError as error:
                    results.add("latency", contender.name, round=number, error=str(error))
                    print(f"{contender.name}: {error}", flush=True)


def _most(lines: list[dict[str, Any]]) -> dict[str, float]:
    """Events a second of each contender in the newest contest."""
    rates: dict[str, list[float]] = {}
    for line in last_run(lines, "drain"):
        if "rate" in line:
            rates.setdefault(line["contender"], []).append(line["rate"])
    return {name: statistics.median(of_one) for name, of_one in rates.items()}


def _told(name: str, found: dict[str, Any]) -> str:
    if "idle_percent" in found:
        return f"{name}, idle: {found['idle_percent']:.1f} % of a core"
    if not found["keeps_up"]:
        return f"{name} at {found['load']:,}/s: does not keep up"
    return (
        f"{name} at {found['load']:,}/s: p50 {found['p50_ms']:.1f}, p99 {found['p99_ms']:.1f}, "
        f"p99.9 {found['p999_ms']:.1f} ms; {found['cpu_us']:.0f} us CPU an event; the sender was "
        f"late by {found['sender_late_ms']:.1f} ms at most"
    )


def measured(
    services: LocalServices, contender: Contender, loads: Sequence[int], seconds: float, run: str
) -> Iterator[dict[str, Any]]:
    """What each load gave, lowest first, in topics that were emptied, and what it takes while nothing comes.

    Ends where it does not keep up.
    """
    group = f"latency-{run}-{file_name(contender.name)}"
    counts = [_WARM_UP, *(int(load * seconds) for load in sorted(loads))]
    names = _asking_ids(sum(counts))
    empty_topics(services.kafka)
    with (
        surroundings_of(services.kafka, services.redis, group) as (where, log),
        running(contender, where, log) as process,
        _sender(services.kafka) as sender,
        _reader(services.kafka) as reader,
    ):
        first = 0
        for number, (count, load) in enumerate(
            zip(counts, [_WARM_UP_RATE, *sorted(loads)], strict=True)
        ):
            asked = {"first": first, "count": count, "rate": load}
            of_load = {
                name: at - first for name, at in names.items() if first <= at < first + count
            }
            first += count
            is_warm_up = number == 0
            patience = _READY_SECONDS if is_warm_up else _BEHIND_SECONDS
            found = _one_load(process, sender, reader, asked, of_load, patience)
            if is_warm_up:
                if not found["keeps_up"]:
                    raise DidNotRunError(process.told("no prediction in time"))
                yield {"idle_percent": _idle_percent(process)}
                continue
            yield {"load": load, **found}
            if not found["keeps_up"]:
                return


def _idle_percent(process: Running) -> float:
    time.sleep(1.0)  # what came before has an end
    before = usage(process.pid).cpu_seconds
    time.sleep(_IDLE_SECONDS)
    return (usage(process.pid).cpu_seconds - before) / _IDLE_SECONDS * 100


def _asking_ids(count: int) -> dict[str, int]:
    """The position of each flight that asks for a prediction, by its event id."""
    return {
        fast_json.decode(record.value)["event_id"]: at
        for at, record in enumerate(records(FIRST_DAY, count))
        if record.topic == ASKING
    }


def _one_load(
    process: Running,
    sender: Any,
    reader: Consumer,
    asked: dict[str, Any],
    of_load: dict[str, int],
    patience: float,
) -> dict[str, Any]:
    read_at: dict[str, float] = {}
    sender.stdin.write(json.dumps(asked) + "\n")
    sender.stdin.flush()
    used = usage(process.pid).cpu_seconds
    ends_at = time.monotonic() + asked["count"] / asked["rate"] + patience + 3.0
    while len(read_at) < len(of_load) and time.monotonic() < ends_at:
        process.check()
        first = reader.poll(0.05)
        if first is None:
            continue
        for message in [first, *reader.consume(1_000, 0.0)]:
            now = time.time()
            if message.error() is None and message.topic() == OUTPUTS[0]:
                name = fast_json.decode(message.value() or b"")["event_id"]
                if name in of_load:
                    read_at.setdefault(name, now)
    used = usage(process.pid).cpu_seconds - used
    answer = json.loads(sender.stdout.readline())
    schedule = Schedule(answer["start"], asked["rate"], asked["count"])
    left_out = min(_LEFT_OUT_SECONDS * asked["rate"], asked["count"] / 2)
    counted = {n: at for n, at in of_load.items() if at >= left_out}
    waits = sorted(read_at[n] - schedule.at(at) for n, at in counted.items() if n in read_at)
    common = {
        "cpu_us": used / asked["count"] * 1e6,
        "sender_late_ms": answer["late_seconds"] * 1e3,
        "predictions": len(read_at),
        "expected": len(of_load),
        "keeps_up": len(read_at) == len(of_load) and bool(waits),
    }
    if not common["keeps_up"]:
        return common
    return common | {
        "p50_ms": percentile(waits, 0.5) * 1e3,
        "p99_ms": percentile(waits, 0.99) * 1e3,
        "p999_ms": percentile(waits, 0.999) * 1e3,
    }


@contextmanager
def _sender(bootstrap: str) -> Iterator[Any]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.contest.sender", bootstrap],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def _reader(bootstrap: str) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "latency-reader",  # asked for by the client, never joined
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 50,
        }
    )
    try:
        places = [TopicPartition(OUTPUTS[0], number) for number in range(all_topics()[OUTPUTS[0]])]
        for place in places:
            _, place.offset = consumer.get_watermark_offsets(place, timeout=10.0)
        consumer.assign(places)
        yield consumer
    finally:
        consumer.close()


if __name__ == "__main__":
    main()
