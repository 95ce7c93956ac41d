"""`python -m benchmarks.profile.beside`: what the worker pays for beside the hand-written loop, by thread and stage.

Both drain the same backlog, one after the other, in several rounds. In each the CPU time of each thread is
the kernel's, of five seconds in which nobody looks; then py-spy looks, and that time is divided as its
samples are. The table has the medians of the rounds. Linux alone has this, as `python -m benchmarks.profile`.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.contest.backlogs import Backlog, fill
from benchmarks.contest.contender import ROOT, Contender
from benchmarks.contest.contenders import chosen
from benchmarks.contest.drain import Running, running, surroundings_of
from benchmarks.page_section import measured_at
from benchmarks.profile.stages import stacks
from benchmarks.profile.table import by_stage
from benchmarks.profile.threads import cpu_of_threads, spent
from stream_app.local import LocalServices

__all__ = ["Shares", "table"]

_BESIDE: Final = ("loop, compiled, tuned", "worker, not aligned")
_WARM_EVENTS: Final = 30_000
_ALONE_SECONDS: Final = 5.0
_DEADLINE_SECONDS: Final = 120.0
#: The threads of the two by what they do.
_SAME: Final = {
    "kafka-client": "consume", "Thread-1 (run)": "consume",
    "Thread-2 (run)": "compute", "Thread-3 (run)": "deliver",
}  # fmt: skip

#: CPU microseconds an event, by thread and stage.
Shares = dict[tuple[str, str], float]


def main() -> None:
    """Measure, and print the table."""
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.profile.beside", description=__doc__.splitlines()[0]
    )
    arguments.add_argument("--events", type=int, default=500_000)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--only", nargs="+", default=[*_BESIDE], metavar="CONTENDER")
    arguments.add_argument("--seconds", type=int, default=8, help="that py-spy looks")
    arguments.add_argument("--rate", type=int, default=50, help="looks a second")
    arguments.add_argument("--py-spy", default="py-spy", metavar="PATH")
    arguments.add_argument("--folder", type=Path, default=ROOT / ".cache" / "profile")
    options = arguments.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    contenders = chosen(options.only)
    found: dict[str, list[Shares]] = {contender.name: [] for contender in contenders}
    with LocalServices() as services:
        backlog = fill(services.kafka, options.events)
        for round_number in range(options.rounds):
            for contender in contenders[:: 1 if round_number % 2 == 0 else -1]:
                group = f"beside-{round_number}-{contenders.index(contender)}"
                shares = _shares(contender, backlog, services.redis, group, options)
                found[contender.name].append(shares)
                print(f"{contender.name}: {sum(shares.values()):.1f} us an event", flush=True)
    print(table(found))
    print(f"\nMedians of {options.rounds} rounds; {measured_at()}.")


def _shares(
    contender: Contender, backlog: Backlog, redis: str, group: str, options: argparse.Namespace
) -> Shares:
    with (
        surroundings_of(backlog.bootstrap, redis, group) as (surroundings, log),
        running(contender, surroundings, log) as process,
    ):
        _wait(process, _WARM_EVENTS)
        before, begun = cpu_of_threads(process.pid), process.finished
        time.sleep(_ALONE_SECONDS)
        after, ended = cpu_of_threads(process.pid), process.finished
        raw = options.folder / f"{group}.stacks"
        subprocess.run(
            [
                options.py_spy, "record", "--pid", str(process.pid), "--native", "--idle", "--threads",
                "--rate", str(options.rate), "--duration", str(options.seconds), "--format", "raw",
                "--output", str(raw),
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        if process.finished >= backlog.events:
            raise SystemExit("the backlog was drained before py-spy was done: more --events")
    times = spent(before, after)
    shares: Shares = defaultdict(float)
    for share in by_stage(stacks(raw.read_text()), times, ended - begun):
        shares[_SAME.get(share.thread, share.thread), share.stage] += share.microseconds
    return shares


def _wait(process: Running, events: int) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while process.finished < events:
        process.check()
        if time.monotonic() > deadline:
            raise SystemExit(f"{events} events were not finished in {_DEADLINE_SECONDS:g} s")
        time.sleep(0.05)


def table(found: Mapping[str, Sequence[Shares]]) -> str:
    """Markdown: of each contender, by name, the medians of its rounds, by thread and stage."""
    names = [*found]
    places = {place for rounds in found.values() for shares in rounds for place in shares}
    of: dict[tuple[str, str], list[float]] = {
        place: [_median(rounds, place) for rounds in found.values()] for place in places
    }
    lines = [f"| thread | stage | {' | '.join(names)} |", "|---|---|" + "---:|" * len(names)]
    for thread, stage in sorted(of, key=lambda place: (place[0], -max(of[place]))):
        cells = " | ".join(f"{each:.2f}" for each in of[thread, stage])
        lines.append(f"| {thread} | {stage} | {cells} |")
    totals = " | ".join(
        f"{median([sum(shares.values()) for shares in rounds]):.1f}" for rounds in found.values()
    )
    return "\n".join([*lines, f"| all | | {totals} |"])


def _median(rounds: Sequence[Shares], place: tuple[str, str]) -> float:
    return median([shares.get(place, 0.0) for shares in rounds])


if __name__ == "__main__":
    main()
