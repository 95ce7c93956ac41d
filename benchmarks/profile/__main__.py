"""Where the time of a worker at full load goes: a flame graph, and a table of stages.

    python -m benchmarks.profile --py-spy .cache/py-spy/bin/py-spy        # what `make profile` does

A worker with everything on drains a backlog of flights, as `python -m benchmarks` lets it do. First nobody
looks: rate and CPU time of each thread are the kernel's. Then py-spy looks at it, native frames included,
first for the table, which divides that CPU time, then for the flame graph. It stops the worker for each look,
so the worker is slower then and waits more. Linux alone has this, and it takes the right to trace a process.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.page_section import measured_at, put_into
from benchmarks.profile.stages import stacks
from benchmarks.profile.table import by_stage, table, waits
from benchmarks.profile.threads import ThreadTime, cpu_of_threads, spent
from benchmarks.scrape import Scraped, scrape
from benchmarks.workload import all_topics, load, publish
from demo.worker import ROOT, Worker
from stream_app.local import LocalServices

_DEADLINE_SECONDS: Final = 120.0
_WARM_EVENTS: Final = 30_000
_STACKS: Final = "worker.stacks"
_GRAPH: Final = "worker.svg"
_PAGE: Final = ROOT / "docs" / "where-a-microsecond-goes.md"
_COMMAND: Final = "make profile ARGS=--page"
_ALONE_SECONDS: Final = 5.0
_SHOWN: Final = ("compute", "deliver", "kafka-client")


def main() -> None:
    """Record, and print the table."""
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.profile", description=__doc__.splitlines()[0]
    )
    arguments.add_argument("--events", type=int, default=1_000_000)
    arguments.add_argument("--seconds", type=int, default=12, help="of each of the two recordings")
    arguments.add_argument("--rate", type=int, default=50, help="looks a second")
    arguments.add_argument("--py-spy", default="py-spy", metavar="PATH")
    arguments.add_argument("--folder", type=Path, default=ROOT / ".cache" / "profile")
    arguments.add_argument("--page", action="store_true", help=f"write the table into {_PAGE.name}")
    options = arguments.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with LocalServices(topics=all_topics()) as services:
        publish(services.kafka, load(options.events))
        with Worker(
            "features.flights:usecase",
            application="profile",
            bootstrap_servers=services.kafka,
            redis_url=services.redis,
        ) as worker:
            worker.start()
            _wait(worker, lambda found: found.records > _WARM_EVENTS)
            found = _recorded(worker, options)
            worker.stop()
    print(found)
    print(f"\nflame graph: {options.folder / _GRAPH}\nstacks: {options.folder / _STACKS}")
    if options.page:
        _PAGE.write_text(put_into(_PAGE.read_text(), _COMMAND, found))


def _recorded(worker: Worker, options: argparse.Namespace) -> str:
    pid = worker.pid
    alone = _unobserved(worker)
    raw = options.folder / _STACKS
    begun, started = _now(worker), time.perf_counter()
    _spy(options, pid, raw, "--format", "raw", "--threads", "--idle")
    slowed = (_now(worker).records - begun.records) / (time.perf_counter() - started)
    graph = options.folder / _GRAPH
    _spy(options, pid, graph, "--format", "flamegraph", "--threads")
    if _now(worker).records >= options.events:
        raise SystemExit("the backlog was drained before the recordings ended: more --events")
    found = list(stacks(raw.read_text()))
    return (
        f"{table(by_stage(found, alone.times, alone.events), {n: waits(found, n) for n in _SHOWN})}"
        f"\n\n{alone.events / alone.seconds:,.0f} events/s while nobody looked, "
        f"{slowed:,.0f} while py-spy looked {options.rate} times a second; {measured_at()}."
    )


class _Alone(NamedTuple):
    times: dict[int, ThreadTime]
    events: int
    seconds: float


def _unobserved(worker: Worker) -> _Alone:
    before, begun, started = cpu_of_threads(worker.pid), _now(worker), time.perf_counter()
    time.sleep(_ALONE_SECONDS)
    after, ended = cpu_of_threads(worker.pid), _now(worker)
    return _Alone(
        spent(before, after), ended.records - begun.records, time.perf_counter() - started
    )


def _spy(options: argparse.Namespace, pid: int, output: Path, *more: str) -> None:
    command = [
        options.py_spy, "record", "--pid", str(pid), "--native", "--rate", str(options.rate),
        "--duration", str(options.seconds), "--output", str(output), *more,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SystemExit(
            f"there is no {options.py_spy}: `make profile` installs it, or --py-spy names it"
        ) from None
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")


def _now(worker: Worker) -> Scraped:
    return _wait(worker, lambda _: True)


def _wait(worker: Worker, reached: Callable[[Scraped], bool]) -> Scraped:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while time.monotonic() < deadline:
        worker.check()
        found = scrape(worker.address)
        if found is not None and reached(found):
            return found
        time.sleep(0.1)
    raise SystemExit(f"the worker did not get so far in {_DEADLINE_SECONDS:g} s")


if __name__ == "__main__":
    main()
