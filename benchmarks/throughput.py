"""The worker with everything on, beside the in-process work alone, in one run.

    python -m benchmarks --events 200000 --rounds 3
    python -m benchmarks --compare alignment
    python -m benchmarks --compare workers
    python -m benchmarks --compare opentelemetry --sampled 0.01
    python -m benchmarks --against ../stream_app-before

The worker drains a backlog from a real Kafka, with its state in a real Redis; it is timed from the
first record to the last one finished, its start apart. CPU seconds are the worker process's own;
brokers, Redis and this program are not in them. Contenders take turns, so that a machine that
slows down slows all of them; read the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.collector import collecting
from benchmarks.in_process import Work, work_alone
from benchmarks.scrape import figures, metrics_text
from benchmarks.steady import steady
from benchmarks.workload import all_topics, load, publish
from demo.topics import Offsets
from demo.worker import ROOT, Worker
from features.flights import usecase
from stream_app.local import LocalServices
from stream_app.records.places import PartitionId

_DEADLINE_SECONDS: Final = 600.0

_USECASE: Final = "features.flights:usecase"
_UNFENCED: Final = "benchmarks.unfenced:usecase"


@dataclass(frozen=True)
class Contender:
    """A worker with its settings."""

    usecase: str = _USECASE
    settings: Mapping[str, str] | None = None
    root: Path = ROOT
    """The checkout whose code and artifacts it runs."""
    options: tuple[str, ...] = ()
    """Of the command."""


#: What may be compared: name to contenders; the first is what the others are measured against.
COMPARISONS: Final[dict[str, dict[str, Contender]]] = {
    "alignment": {
        "aligned": Contender(),
        "not aligned": Contender(settings={"alignment": "false"}),
    },
    "delivery": {
        "at least once": Contender(settings={"delivery": "at_least_once"}),
        "exactly once": Contender(settings={"delivery": "exactly_once"}),
    },
    "opentelemetry": {
        "off": Contender(),
        "on": Contender(settings={"opentelemetry": "true"}),
    },
    "workers": {
        "one": Contender(),
        "one supervised": Contender(options=("--workers", "1")),
        "two supervised": Contender(options=("--workers", "2")),
    },
    "fence": {
        "fenced": Contender(),
        "plain MSET": Contender(_UNFENCED),
    },
}


@dataclass(frozen=True)
class Drained:
    """What a worker took to drain the backlog."""

    rate: float
    """Records a second."""
    cpu_us: float
    """CPU time a record, in microseconds."""
    first_seconds: float
    """From the launch to the first records finished."""
    rss_begin_mib: float
    rss_mib: float
    """Resident memory with the first records and with the last."""
    kafka_cpu_us: float
    redis_cpu_us: float
    """CPU time of the broker and of Redis a record, in microseconds."""
    batch_records: float
    """Records of a batch, on average."""
    conflicts: float
    """States a record that another worker had changed, so that they were read and applied again."""


class _Look(NamedTuple):
    at: float
    metrics: Mapping[str, float]
    kafka_cpu: float
    """CPU seconds of the broker until then; of Redis the next one."""
    redis_cpu: float


def main() -> None:
    """Run the contenders in turn and print medians and ratios."""
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0]
    )
    arguments.add_argument("--events", type=int, default=200_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument(
        "--compare",
        choices=COMPARISONS,
        help="compare the worker with two settings instead of with the work alone",
    )
    arguments.add_argument(
        "--against",
        type=Path,
        metavar="FOLDER",
        help="compare the worker with that of another checkout, an earlier commit for one",
    )
    arguments.add_argument(
        "--sampled",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="share of the events whose trace is recorded, with --compare opentelemetry",
    )
    options = arguments.parse_args()
    sampled = options.sampled if options.compare == "opentelemetry" else 0.0
    workload = load(options.events)
    with LocalServices(topics=all_topics()) as services, collecting() as collector:
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector
        publish(services.kafka, workload, sampled=sampled)
        del workload
        if options.against:
            contenders = {
                "there": Contender(root=options.against.resolve()),
                "here": Contender(),
            }
            result = _compare(services, contenders, options)
        elif options.compare:
            result = _compare(services, COMPARISONS[options.compare], options)
        else:
            result = _against_work_alone(services, options)
    print(json.dumps(result | circumstances()))


def _against_work_alone(
    services: LocalServices, options: argparse.Namespace
) -> dict[str, float | str]:
    alone: list[Work] = []
    workers: list[Drained] = []
    for number in range(options.rounds):
        alone.append(_in_own_process(options.events))
        workers.append(drain(services, f"bench-{number}", options.events, Contender()))
        _say("work alone", f"{alone[-1].rate:,.0f} events/s, {alone[-1].cpu_microseconds:.1f} us")
        _say("worker", told(workers[-1]))
        _say("ratio", f"{workers[-1].rate / alone[-1].rate:.2f}")
    return {
        "alone_events_per_second": _median([a.rate for a in alone]),
        "alone_cpu_seconds_per_million": _median([a.cpu_microseconds for a in alone]),
        "worker_events_per_second": _median([w.rate for w in workers]),
        "worker_cpu_seconds_per_million": _median([w.cpu_us for w in workers]),
        "first_seconds": _median([w.first_seconds for w in workers]),
        "ratio": _median([w.rate / a.rate for a, w in zip(alone, workers, strict=True)]),
    }


def _compare(
    services: LocalServices, contenders: Mapping[str, Contender], options: argparse.Namespace
) -> dict[str, float | str]:
    rounds: list[dict[str, Drained]] = []
    for number in range(options.rounds):
        drained = {}
        # Every other round begins with the other contender.
        for name in list(contenders)[:: 1 if number % 2 == 0 else -1]:
            application = f"bench-{number}-{name.replace(' ', '-')}"
            drained[name] = drain(services, application, options.events, contenders[name])
            _say(name, told(drained[name]))
        rounds.append(drained)
    first, *others = contenders
    result: dict[str, float | str] = {}
    for name in contenders:
        medians = {
            key: _median([asdict(drained[name])[key] for drained in rounds])
            for key in asdict(rounds[0][name])
        }
        result |= {f"{name}: {key}": value for key, value in medians.items()}
    for other in others:
        for key, ratio in (("rate", _rate_ratio), ("cpu", _cpu_ratio)):
            result[f"{other} / {first}: {key}"] = _median(
                [ratio(drained[other], drained[first]) for drained in rounds]
            )
    return result


def _rate_ratio(other: Drained, first: Drained) -> float:
    return other.rate / first.rate


def _cpu_ratio(other: Drained, first: Drained) -> float:
    return other.cpu_us / first.cpu_us


def _alone(events: int) -> Work:
    return work_alone(load(events), usecase, ROOT / "artifacts")


def _in_own_process(events: int) -> Work:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_alone, events).result()


def drain(services: LocalServices, application: str, events: int, contender: Contender) -> Drained:
    offsets = Offsets(services.kafka, application)
    partitions = [PartitionId(t.name, n) for t in usecase.topics for n in range(t.partitions)]
    ends = offsets.ends(partitions)
    # A broker that has just started makes its topic of offsets when a group is first asked for: that
    # takes two seconds, and is no worker's time.
    offsets.committed(partitions)
    launched = time.perf_counter()
    with Worker(
        contender.usecase,
        application=application,
        root=contender.root,
        options=contender.options,
        bootstrap_servers=services.kafka,
        redis_url=services.redis,
        **(contender.settings or {}),
    ) as worker:
        worker.start()
        begun = _wait(worker, lambda m: m["records"] > 0, every_seconds=0.05)
        first_seconds = time.perf_counter() - launched
        looks = [_Look(time.perf_counter(), begun, *_cpu_seconds_of(services))]
        while looks[-1].metrics["records"] < events:
            # A look costs the worker some milliseconds: often enough to see the end, no oftener.
            time.sleep(0.25)
            metrics = _wait(worker, lambda _: True, every_seconds=0.05)
            looks.append(_Look(time.perf_counter(), metrics, *_cpu_seconds_of(services)))
            if looks[-1].at - launched > _DEADLINE_SECONDS:
                raise SystemExit("the worker did not finish in time")
        while any(offsets.committed(ends).get(p, 0) < end for p, end in ends.items()):
            worker.check()
            time.sleep(0.05)
        worker.stop()
    finished = looks[-1].metrics
    one, other = steady([look.metrics["records"] for look in looks], events)
    start, end = looks[one], looks[other]
    count = end.metrics["records"] - start.metrics["records"]
    return Drained(
        rate=count / (end.at - start.at),
        cpu_us=(end.metrics["cpu"] - start.metrics["cpu"]) / count * 1e6,
        first_seconds=first_seconds,
        rss_begin_mib=begun["rss"] / 2**20,
        rss_mib=finished["rss"] / 2**20,
        kafka_cpu_us=(end.kafka_cpu - start.kafka_cpu) / count * 1e6,
        redis_cpu_us=(end.redis_cpu - start.redis_cpu) / count * 1e6,
        batch_records=finished["batched"] / max(1.0, finished["batches"]),
        conflicts=finished["conflicts"] / finished["records"],
    )


def _cpu_seconds_of(services: LocalServices) -> tuple[float, float]:
    """What broker and Redis have used until now; 0 where the system does not tell (it is Linux's way)."""
    found = [0.0, 0.0]
    for number, service in enumerate((services.local_kafka, services.local_redis)):
        assert service is not None
        stat = Path(f"/proc/{service.pid}/stat")
        if stat.exists():
            # User and system time; the name before them may hold anything but a closing bracket.
            ticks = stat.read_text().rpartition(")")[2].split()[11:13]
            found[number] = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return found[0], found[1]


def _wait(
    worker: Worker, reached: Callable[[dict[str, float]], bool], every_seconds: float
) -> dict[str, float]:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        worker.check()
        metrics = _metrics(worker.address)
        if metrics is not None and reached(metrics):
            return metrics
        time.sleep(every_seconds)
    raise SystemExit("the worker did not finish in time")


def _metrics(address: str) -> dict[str, float] | None:
    text = metrics_text(address)
    if text is None:
        return None
    names = {
        "stream_app_records_total": "records",
        "process_cpu_seconds_total": "cpu",
        "process_resident_memory_bytes": "rss",
        "stream_app_batch_records_sum": "batched",
        "stream_app_batch_records_count": "batches",
        "stream_app_state_conflicts_total": "conflicts",
    }
    return {names[name]: sum(each) for name, each in figures(text, names).items()}


def told(drained: Drained) -> str:
    return (
        f"{drained.rate:,.0f} events/s, {drained.cpu_us:.1f} us CPU an event; first record "
        f"{drained.first_seconds:.1f} s after launch; memory {drained.rss_begin_mib:.0f} -> "
        f"{drained.rss_mib:.0f} MiB; CPU an event of the broker {drained.kafka_cpu_us:.1f} us, of Redis "
        f"{drained.redis_cpu_us:.1f} us; {drained.batch_records:,.0f} records a batch, "
        f"{drained.conflicts:.2f} conflicts an event"
    )


def _say(name: str, text: str) -> None:
    print(f"{name}: {text}", flush=True)


def _median(values: list[float]) -> float:
    return round(statistics.median(values), 3)


def circumstances() -> dict[str, float | str]:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "cores": os.cpu_count() or 0,
        "python": sys.version.split()[0],
        "commit": commit.stdout.strip(),
    }


if __name__ == "__main__":
    main()
