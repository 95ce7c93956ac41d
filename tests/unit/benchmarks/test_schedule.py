"""The schedule of an open loop, and what is counted by it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.contest.backlogs import spoilt
from benchmarks.contest.process_tree import usage
from benchmarks.contest.progress import Progress
from benchmarks.contest.schedule import Schedule, percentile
from benchmarks.contest.surroundings import Surroundings
from features.flights.data.year import Record


def test_even_distances() -> None:
    """Records are due at even distances."""
    schedule = Schedule(start=100.0, rate=1_000.0, count=5_000)
    assert schedule.at(0) == 100.0
    assert schedule.at(2_500) == 102.5


def test_missed() -> None:
    """What a sender missed is due at once and keeps its moment."""
    schedule = Schedule(start=100.0, rate=1_000.0, count=5_000)
    assert schedule.due_by(99.9) == 0
    assert schedule.due_by(100.0) == 1
    assert schedule.due_by(101.0) == 1_001
    assert schedule.at(1_000) == 101.0


def test_end_of_schedule() -> None:
    """No more is due than there is."""
    assert Schedule(start=100.0, rate=1_000.0, count=10).due_by(1e6) == 10


@pytest.mark.parametrize(
    ("share", "value"), [(0.5, 50.0), (0.99, 99.0), (0.999, 100.0), (1.0, 100.0)]
)
def test_percentile(share: float, value: float) -> None:
    """A percentile is a value that was seen."""
    assert percentile([float(n) for n in range(1, 101)], share) == value


def test_percentile_of_one() -> None:
    """A percentile of one value is that value."""
    assert percentile([7.0], 0.001) == percentile([7.0], 0.999) == 7.0


def test_progress(tmp_path: Path) -> None:
    """What one process counts another reads."""
    path = tmp_path / "progress"
    ours = Progress(path)
    code = (
        "import sys; from pathlib import Path; from benchmarks.contest.progress import Progress; "
        "p = Progress(Path(sys.argv[1])); p.add(4_096); p.add(4)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert ours.count == 4_100


def test_surroundings() -> None:
    """A contender reads what its parent said."""
    said = Surroundings("b:1", "redis://r", "g", "artifacts", "/tmp/p")
    assert Surroundings.read(said.environment()) == said


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
def test_usage() -> None:
    """Usage counts children and those that have ended."""
    burn = "import time; t = time.process_time()\nwhile time.process_time() - t < 0.3: pass"
    code = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {burn!r}])\n"
        f"child = subprocess.Popen([sys.executable, '-c', {burn!r} + chr(10) + 'input()'], stdin=-1)\n"
        "print(flush=True); input(); child.kill()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        deadline = time.monotonic() + 30.0
        while usage(process.pid).cpu_seconds < 0.55 and time.monotonic() < deadline:
            time.sleep(0.05)
        found = usage(process.pid)
        process.communicate(b"\n")
    assert found.cpu_seconds >= 0.55
    assert found.resident_bytes > 2 * 4 * 2**20


def test_spoilt() -> None:
    """Malformed records are spread over the backlog."""
    records = [Record("t", b"k", b"0123456789", float(n), 0.0) for n in range(100)]
    found = spoilt(records, 3)
    at = [n for n, (_, is_spoilt) in enumerate(found) if is_spoilt]
    assert at == [25, 50, 75]
    assert all(len(record.value) == (5 if is_spoilt else 10) for record, is_spoilt in found)
