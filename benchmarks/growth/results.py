"""The results of all runs: a file to which each point is added as a line of JSON."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.growth.measure import Measured
from benchmarks.growth.points import Point
from demo.worker import ROOT

__all__ = ["RESULTS", "Known", "append", "latest", "read"]

#: Kept in the repository: the page and its plots are made of it.
RESULTS: Final = ROOT / "docs" / "growth-results.jsonl"


class Known(NamedTuple):
    """What is known of a value of a variable: medians of the rounds of the newest run that has it."""

    value: float
    rate: float
    cpu_us: float
    peak_mib: float
    memory_growth: float
    rounds: int
    looks: Sequence[tuple[float, int, float]]
    """Of the last round."""
    run: Mapping[str, Any]
    """When and where: `began`, `commit`, `python`, `cores`."""


def append(path: Path, point: Point, measured: Measured, run: Mapping[str, Any]) -> None:
    """Add a point."""
    line = {**run, "point": asdict(point), "measured": asdict(measured)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """All lines."""
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def latest(lines: Iterable[Mapping[str, Any]]) -> dict[str, list[Known]]:
    """What is known, by variable, in the order of its values.

    Of each variable the points of the newest run that measured it are taken, and of no other: two
    machines, or two commits, make no line.
    """
    by_variable: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        by_variable.setdefault(line["point"]["variable"], []).append(line)
    return {name: _of_newest_run(of_it) for name, of_it in by_variable.items()}


def _of_newest_run(lines: Sequence[Mapping[str, Any]]) -> list[Known]:
    newest = max(line["began"] for line in lines)
    by_value: dict[float, list[Mapping[str, Any]]] = {}
    for line in lines:
        if line["began"] == newest:
            by_value.setdefault(line["point"]["value"], []).append(line)
    return [_known(value, rounds) for value, rounds in sorted(by_value.items())]


def _known(value: float, rounds: Sequence[Mapping[str, Any]]) -> Known:
    def median(name: str) -> float:
        return float(statistics.median(line["measured"][name] for line in rounds))

    last = rounds[-1]
    run = {name: last[name] for name in last if name not in {"point", "measured"}}
    return Known(
        value, median("rate"), median("cpu_us"), median("peak_mib"), median("memory_growth"),
        len(rounds), last["measured"]["looks"], run,
    )  # fmt: skip
