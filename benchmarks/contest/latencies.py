"""Latencies of several rounds: a table of medians, and the curves of a plot."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from benchmarks.contest.table import spread

__all__ = ["curves", "latency_table"]

_HEAD: Final = """\
|  | events/s | p50 ms | p99 ms | p99.9 ms | CPU us an event |
|---|---:|---:|---:|---:|---:|"""


def latency_table(latencies: Iterable[Mapping[str, Any]]) -> str:
    """A line a contender and load, as Markdown: medians, with the lowest and the highest of several rounds."""
    lines: list[str] = []
    for (name, load), rounds in _by_load(latencies).items():
        good = [line for line in rounds if line.get("keeps_up")]
        errors = [line["error"] for line in rounds if "error" in line]
        if errors:
            lines.append(f"| {name} | did not run: {errors[0]} | | | | |")
        elif len(good) < len(rounds):
            of_all = "" if len(rounds) == 1 else f" in {len(rounds) - len(good)} of {len(rounds)}"
            lines.append(f"| {name} | {load:,.0f} | does not keep up{of_all} | | | |")
        else:
            figures = " | ".join(
                _median([line[key] for line in good])
                for key in ("p50_ms", "p99_ms", "p999_ms", "cpu_us")
            )
            lines.append(f"| {name} | {load:,.0f} | {figures} |")
    return "\n".join([_HEAD, *lines])


def curves(latencies: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """For each contender its loads and the median p99 of each in milliseconds, where it kept up at all."""
    found: dict[str, list[tuple[float, float]]] = {}
    for (name, load), rounds in _by_load(latencies).items():
        p99 = [line["p99_ms"] for line in rounds if line.get("keeps_up")]
        if p99:
            found.setdefault(name, []).append((load, statistics.median(p99)))
    return found


def _by_load(
    latencies: Iterable[Mapping[str, Any]],
) -> dict[tuple[str, float], list[Mapping[str, Any]]]:
    """The lines of each contender and load, in the order in which the contenders came first."""
    grouped: dict[str, dict[float, list[Mapping[str, Any]]]] = {}
    for line in latencies:
        of_one = grouped.setdefault(line["contender"], {})
        of_one.setdefault(line.get("load", 0), []).append(line)
    return {
        (name, load): of_one[load] for name, of_one in grouped.items() for load in sorted(of_one)
    }


def _median(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.1f}{spread(values, '{:.1f}')}"
