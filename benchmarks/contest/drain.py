"""One contender drains one backlog, and is looked at from outside."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from redis import Redis

from benchmarks.contest.backlogs import Backlog
from benchmarks.contest.contender import ROOT, Contender
from benchmarks.contest.outputs import Outputs
from benchmarks.contest.process_tree import usage
from benchmarks.contest.progress import Progress
from benchmarks.contest.surroundings import Surroundings
from benchmarks.steady import steady
from demo.topics import Offsets
from features.flights import usecase
from stream_app.records.places import PartitionId

__all__ = [
    "DidNotRunError",
    "Drained",
    "Running",
    "drain",
    "file_name",
    "running",
    "surroundings_of",
]

_LOOK_SECONDS: Final = 0.05
_START_SECONDS: Final = 60.0
_DRAIN_SECONDS: Final = 45.0
_STOP_SECONDS: Final = 15.0
_MIB: Final = 2**20
_LOGS: Final = ROOT / ".cache" / "bench"


class DidNotRunError(Exception):
    """A contender ended on its own or finished nothing; says what it wrote last."""


@dataclass(frozen=True)
class Drained:
    """What a contender took for a backlog, in the steady part of its drain."""

    rate: float
    """Events a second."""
    cpu_us: float
    """CPU time an event in microseconds, of the whole process tree."""
    peak_mib: float
    """Most resident memory of the process tree at any look."""
    first_seconds: float
    """From the launch to the first records finished."""
    events: int
    """How many events were measured."""
    predictions: int
    """Different ones in the topic afterwards."""
    expected: int
    """How many there should be."""
    is_whole: bool
    """Whether it finished in time."""
    note: str
    """If not, what it wrote last."""


class _Look(NamedTuple):
    at: float
    finished: int
    cpu_seconds: float


class Running:
    """A contender's process, in a session of its own."""

    def __init__(self, contender: Contender, surroundings: Surroundings, log: Path) -> None:
        self._log = log
        self._contender = contender
        self._progress = Progress(Path(surroundings.progress))
        self._offsets = Offsets(surroundings.bootstrap, surroundings.group)
        ids = [PartitionId(t.name, n) for t in usecase.topics for n in range(t.partitions)]
        self._ends = self._offsets.ends(ids)
        # A broker that has just started makes its topic of offsets when a group is first asked for.
        self._offsets.committed(ids)
        clean = {
            n: v for n, v in os.environ.items() if not n.startswith(("STREAM_APP_", "CONTEST_"))
        }
        self.launched = time.perf_counter()
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                contender.command(),
                env={**clean, **contender.environment(surroundings)},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def finished(self) -> int:
        """How many records it has finished."""
        if self._contender.counts:
            return self._progress.count
        # The backlog begins at offset 0.
        return sum(self._offsets.committed(self._ends).values())

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.poll() is not None

    def check(self) -> None:
        """Raise `DidNotRunError` if the process is gone."""
        if self.has_ended:
            raise DidNotRunError(self.told(f"ended with {self._process.returncode}"))

    def told(self, what: str) -> str:
        """`what`, the last line that it wrote, and where its log is kept."""
        lines = [
            line for line in self._log.read_text(errors="replace").splitlines() if line.strip()
        ]
        if not lines:
            return f"{what}; it wrote nothing"
        _LOGS.mkdir(parents=True, exist_ok=True)
        kept = _LOGS / f"{file_name(self._contender.name)}.log"
        shutil.copyfile(self._log, kept)
        return f"{what}: {lines[-1].strip()[:300]} (its log: {kept.relative_to(ROOT)})"

    def kill(self) -> None:
        """As ``kill -9`` of the process and all below it."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """End it, in good order if it does that in time."""
        if not self.has_ended:
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
        self._signal(signal.SIGKILL)  # what it may have left behind
        self._process.wait()

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)


def file_name(name: str) -> str:
    """The name of a contender as a part of names of files and groups."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", name)


@contextmanager
def running(contender: Contender, surroundings: Surroundings, log: Path) -> Iterator[Running]:
    """Run it until the block ends."""
    process = Running(contender, surroundings, log)
    try:
        yield process
    finally:
        process.stop()


@contextmanager
def surroundings_of(
    bootstrap: str, redis_url: str, group: str
) -> Iterator[tuple[Surroundings, Path]]:
    """An empty Redis, a new group, a count of 0 and a file for the log, in a folder that is removed."""
    with Redis.from_url(redis_url) as client:
        client.flushall()
    with tempfile.TemporaryDirectory(prefix="contest-") as folder:
        yield (
            Surroundings(
                bootstrap=bootstrap,
                redis=redis_url,
                group=group,
                artifacts=str(ROOT / "artifacts"),
                progress=str(Path(folder) / "progress"),
            ),
            Path(folder) / "log",
        )


def drain(contender: Contender, backlog: Backlog, redis_url: str, group: str) -> Drained:
    """Let it drain the backlog; raises `DidNotRunError`."""
    with (
        surroundings_of(backlog.bootstrap, redis_url, group) as (surroundings, log),
        Outputs(backlog.bootstrap) as outputs,
    ):
        with running(contender, surroundings, log) as process:
            looks, peak = _looks(process, backlog.events)
            # The launch is the first look: it is the beginning where too few events show a steady part.
            looks.insert(0, _Look(process.launched, 0, 0.0))
            one, other = steady([look.finished for look in looks], backlog.events)
            first, last = looks[one], looks[other]
            count = last.finished - first.finished
            wall = last.at - first.at
            is_whole = looks[-1].finished >= backlog.events
            note = "" if is_whole else process.told("not finished in time")
        seen = outputs.seen(backlog.predictions)
        return Drained(
            rate=count / wall,
            cpu_us=(last.cpu_seconds - first.cpu_seconds) / count * 1e6,
            peak_mib=peak / _MIB,
            first_seconds=looks[1].at - process.launched,
            events=count,
            predictions=len(seen.predictions),
            expected=backlog.predictions,
            is_whole=is_whole,
            note=note,
        )


def _looks(process: Running, events: int) -> tuple[list[_Look], int]:
    """What was seen from the first records finished to the last; and the most memory."""
    looks: list[_Look] = []
    peak = 0
    deadline = process.launched + _START_SECONDS
    while not looks or looks[-1].finished < events:
        process.check()
        now = time.perf_counter()
        finished = process.finished
        used = usage(process.pid)
        peak = max(peak, used.resident_bytes)
        if finished:
            if not looks:
                deadline = now + _DRAIN_SECONDS
            looks.append(_Look(now, finished, used.cpu_seconds))
        if now > deadline:
            if not looks:
                raise DidNotRunError(process.told(f"nothing finished in {_START_SECONDS:g} s"))
            break
        time.sleep(_LOOK_SECONDS)
    return looks, peak
