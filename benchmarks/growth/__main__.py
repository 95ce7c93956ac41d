"""How rate, CPU an event and memory change with one variable at a time.

    python -m benchmarks.growth --quick              # few points of every variable
    python -m benchmarks.growth --only entities,backlog
    python -m benchmarks.growth alone                # CPU of the work alone, without Kafka and Redis
    python -m benchmarks.growth report               # docs/growth.md and its plots

Each point is a topic of its own, drained by a worker with everything on, with state in a real Redis.
CPU and memory are those of the worker's processes; brokers, Redis and this program are not in them.
Each point is added to the results as soon as it is measured, so that a run that is stopped leaves what
it has.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.growth.alone import alone
from benchmarks.growth.measure import measure
from benchmarks.growth.points import VARIABLES, Point, points
from benchmarks.growth.report import section, write_plots
from benchmarks.growth.results import RESULTS, append, latest, read
from benchmarks.page_section import commit, put_into
from demo.worker import ROOT
from stream_app.local import LocalServices

_PAGE = ROOT / "docs" / "growth.md"
_COMMAND = "python -m benchmarks.growth report"


def main() -> None:
    """Measure, or write the page."""
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.growth", description=__doc__.splitlines()[0]
    )
    arguments.add_argument("what", nargs="?", choices=("run", "alone", "report"), default="run")
    arguments.add_argument("--quick", action="store_true", help="few points of every variable")
    arguments.add_argument(
        "--only", default="", metavar="NAMES", help=f"of {', '.join(VARIABLES)}; with commas"
    )
    arguments.add_argument("--rounds", type=int, default=1, help="medians of so many")
    arguments.add_argument("--results", type=Path, default=RESULTS, metavar="FILE")
    options = arguments.parse_args()
    if options.what == "report":
        _report(options.results)
        return
    only = [name for name in options.only.split(",") if name]
    try:
        wanted = points(quick=options.quick, only=only) * options.rounds
    except ValueError as error:
        raise SystemExit(f"python -m benchmarks.growth: {error}") from error
    if options.what == "alone":
        for point, cpu_us in alone(wanted):
            print(f"{point.variable} {point.value:,g}: {cpu_us:.1f} us CPU an event", flush=True)
    else:
        _run(options, wanted)


def _run(options: argparse.Namespace, wanted: Sequence[Point]) -> None:
    run = {
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
        "quick": options.quick,
    }
    with LocalServices() as services:
        # Rounds are apart in time, so that a minute in which the machine is slow has part in none alone.
        for number, point in enumerate(wanted):
            begun = time.monotonic()
            found = measure(services.kafka, services.redis, point, number)
            append(options.results, point, found, run)
            print(
                f"{point.variable} {point.value:,g}: {found.rate:,.0f} events/s, "
                f"{found.cpu_us:.1f} us CPU an event, {found.peak_mib:.0f} MiB"
                f" ({time.monotonic() - begun:.0f} s)",
                flush=True,
            )
    print(f"added to {options.results}; `python -m benchmarks.growth report` writes the page")


def _report(results: Path) -> None:
    known = latest(read(results))
    for path in write_plots(_PAGE.parent / "images", known):
        print(f"{path.relative_to(ROOT)}: written")
    _PAGE.write_text(put_into(_PAGE.read_text(), _COMMAND, section(known)))
    print(f"{_PAGE.relative_to(ROOT)}: written")


if __name__ == "__main__":
    main()
