"""``python -m benchmarks.contest.report``: table, goals and plots of the newest runs in a file of results."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.contest.contender import ROOT
from benchmarks.contest.contenders import LOOP, WORKER, peers
from benchmarks.contest.goals import judged
from benchmarks.contest.latencies import curves, latency_table
from benchmarks.contest.plots import Bar, bars, lines
from benchmarks.contest.results import RESULTS, last_run, read
from benchmarks.contest.table import Row, rows, table
from benchmarks.contest.trials import told_by_contender

__all__ = ["main", "plots", "report"]

_FOLDER: Final = ROOT / ".cache" / "bench"


def main() -> None:
    """Print the report and write the plots."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contest.report")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FILE")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="where the plots go")
    options = parser.parse_args()
    found = list(read(options.results))
    if not found:
        raise SystemExit(f"{options.results} has no results: run `make bench` first")
    print(report(found))
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, drawn in plots(found).items():
        path = options.folder / name
        path.write_text(drawn, encoding="utf-8")
        print(path)


def report(found: list[dict[str, Any]]) -> str:
    """The newest contest, the newest latencies, and what both say of the goals."""
    drains, latencies = _newest(found)
    parts = []
    for kind, of_kind in (("contest", drains), ("latency", latencies)):
        if of_kind:
            first = of_kind[0]
            parts.append(
                f"{kind} {first['run']}: {first.get('python', '')}, {first.get('cores', '?')} cores, "
                f"commit {first.get('commit', '')}"
            )
    if drains:
        parts.append(table(rows(drains, LOOP), told_by_contender(found)))
    if latencies:
        parts.append(latency_table(latencies))
    names = [peer.name for peer in peers()]
    verdicts = judged([*drains, *latencies, *last_run(found, "idle")], names)
    parts.append("\n".join(f"- {verdict.goal.text}: {verdict.text}" for verdict in verdicts))
    return "\n\n".join(parts)


def plots(found: list[dict[str, Any]]) -> dict[str, str]:
    """File name to SVG."""
    drains, latencies = _newest(found)
    drawn = {}
    ran = [row for row in rows(drains, LOOP) if row.rates]
    if ran:
        drawn["contest-rate.svg"] = bars(
            "A backlog is drained",
            "events a second",
            [_bar(row, row.rate, row.rates) for row in ran],
        )
        drawn["contest-cpu.svg"] = bars(
            "CPU time an event", "microseconds", [_bar(row, row.cpu_us, row.cpus) for row in ran]
        )
    if latencies:
        drawn["contest-latency.svg"] = lines(
            "Latency in an open loop", "records a second", "p99, milliseconds", curves(latencies)
        )
    return drawn


def _bar(row: Row, value: float, values: Sequence[float]) -> Bar:
    return Bar(row.contender, value, min(values), max(values), row.contender.startswith(WORKER))


def _newest(
    found: list[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    drains, latencies = (last_run(found, kind) for kind in ("drain", "latency"))
    return drains, latencies


if __name__ == "__main__":
    main()
