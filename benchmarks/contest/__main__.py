"""``python -m benchmarks.contest``: all contenders in turns, one table; see docs/benchmarks.md."""

from __future__ import annotations

import argparse
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.contest.backlogs import Backlog, fill
from benchmarks.contest.contender import Contender
from benchmarks.contest.contenders import LOOP, chosen, peers
from benchmarks.contest.drain import DidNotRunError, drain, file_name
from benchmarks.contest.goals import judged
from benchmarks.contest.results import RESULTS, Results, circumstances, read
from benchmarks.contest.table import rows, table
from benchmarks.contest.trials import told_by_contender
from stream_app.local import LocalServices

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Drain the backlogs in rounds, then print the table and what it says of the goals."""
    options = _options(arguments)
    taking_part = chosen(options.only, options.against)
    run = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:4]}"
    results = Results(options.results, run, circumstances())
    with LocalServices() as services, ExitStack() as stack:
        backlogs: dict[bool, Backlog] = {}
        if not all(contender.is_slow for contender in taking_part):
            backlogs[False] = fill(services.kafka, options.events)
        if any(contender.is_slow for contender in taking_part):
            second = stack.enter_context(LocalServices(redis=False))
            backlogs[True] = fill(second.kafka, options.slow_events)
        stops_at = time.monotonic() + options.minutes * 60
        for number in range(options.rounds):
            if number and time.monotonic() > stops_at:
                print(f"after {number} of {options.rounds} rounds the time is over", flush=True)
                break
            # Every other round goes backwards, so that nobody always comes after the same one.
            for contender in taking_part[:: 1 if number % 2 == 0 else -1]:
                _drain(contender, backlogs[contender.is_slow], services.redis, number, results)
    trials = told_by_contender(list(read(options.results)))
    order = {contender.name: place for place, contender in enumerate(taking_part)}
    found = sorted(rows(results.lines, LOOP), key=lambda row: order[row.contender])
    print("\n" + table(found, trials) + "\n")
    for verdict in judged(results.lines, [peer.name for peer in peers()]):
        if verdict.ratio is not None:
            print(f"{verdict.goal.text}: {verdict.text}")
    told = circumstances()
    print(f"\n{told['python']}, {told['cores']} cores, {told['commit']}; run {run}")


def _drain(
    contender: Contender, backlog: Backlog, redis_url: str, number: int, results: Results
) -> None:
    common: dict[str, Any] = {"round": number, "guarantee": contender.guarantee}
    if (why := contender.missing()) is not None:
        results.add("drain", contender.name, error=why, **common)
        return
    group = f"contest-{results.run}-{number}-{file_name(contender.name)}"
    try:
        drained = drain(contender, backlog, redis_url, group)
    except DidNotRunError as error:
        results.add("drain", contender.name, error=str(error), **common)
        print(f"{number + 1} {contender.name}: {error}", flush=True)
        return
    results.add("drain", contender.name, **asdict(drained), **common)
    print(
        f"{number + 1} {contender.name}: {drained.rate:,.0f} events/s, {drained.cpu_us:.1f} us, "
        f"{drained.peak_mib:.0f} MiB, {drained.predictions:,} of {drained.expected:,} predictions"
        f"{drained.note and ', '}{drained.note}",
        flush=True,
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.contest", description="All contenders in turns, one table."
    )
    parser.add_argument("--events", type=int, default=200_000, help="in the backlog of the fast")
    parser.add_argument("--slow-events", type=int, default=15_000, help="in that of the slow")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=6.0, help="no round begins after so many")
    parser.add_argument("--only", nargs="*", metavar="PART", help="contenders whose names hold it")
    parser.add_argument(
        "--against", type=Path, metavar="FOLDER", help="the worker of another checkout as well"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
