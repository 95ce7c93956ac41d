"""Results in a file: a JSON object a line, appended as they come and never changed.

A line says its `kind` ("drain", "trial", "latency" or "idle"), the `run` that it belongs to, the `contender`, and
under what circumstances it was measured.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.contest.contender import ROOT

__all__ = ["RESULTS", "Results", "circumstances", "last_run", "python_build", "read"]

#: Where results are kept by default.
RESULTS: Final = ROOT / "benchmarks" / "results.jsonl"

Line = dict[str, Any]


class Results:
    """The lines of one run."""

    def __init__(self, path: Path, run: str, common: Mapping[str, Any]) -> None:
        self.run = run
        self.lines: list[Line] = []
        self._path = path
        self._common = common

    def add(self, kind: str, contender: str, **found: Any) -> None:
        """Append a line, in the file and here."""
        line = {"kind": kind, "run": self.run, "contender": contender, **found}
        self.lines.append(line)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**line, **self._common}) + "\n")


def read(path: Path) -> Iterator[Line]:
    """All lines of a file; none where there is no file."""
    if path.exists():
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)


def last_run(lines: list[Line], kind: str) -> list[Line]:
    """The lines of one kind of the run that has the newest of them; none where there are none."""
    of_kind = [line for line in lines if line["kind"] == kind]
    return of_kind and [line for line in of_kind if line["run"] == of_kind[-1]["run"]]


def circumstances() -> dict[str, Any]:
    """What a figure means little without."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "cores": os.cpu_count() or 0,
        "machine": platform.machine(),
        "python": python_build(),
    }


def python_build() -> str:
    """Version of this Python, and whether its compiler was told by a profile what matters."""
    options = str(sysconfig.get_config_var("CONFIG_ARGS") or "")
    told = "with PGO" if "--enable-optimizations" in options else "without PGO"
    return f"{platform.python_implementation()} {sys.version.split()[0]} {told}"
