"""The demonstration as a person runs it, in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACE = ("--events", "3000", "--speed", "15000")


@pytest.fixture
def mark() -> str:
    """What tells the processes of this test from all others."""
    return f"demo-test-{uuid.uuid4().hex}"


@pytest.fixture
def environment(tmp_path: Path, mark: str) -> dict[str, str]:
    """A place for temporary directories that can be looked at, and the mark."""
    pytest.importorskip("jgo", reason="the extra `local` is not installed")
    (tmp_path / "tmp").mkdir()
    return {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "DEMO_TEST_MARK": mark}


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start it; its output is lines, as there is no terminal."""
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "demo", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def marked(mark: str) -> Iterator[str]:
    """Yield the command lines of processes that inherited the mark (Linux; elsewhere none)."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                yield (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it ended, or is another user's


def assert_nothing_is_left(tmp_path: Path, mark: str) -> None:
    """No process and no directory; what was killed may take a moment."""
    directory = tmp_path / "tmp"
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline and (any(marked(mark)) or any(directory.iterdir())):
        time.sleep(0.1)
    assert list(marked(mark)) == []
    assert list(directory.iterdir()) == []


def assert_no_line_of_a_library(output: str) -> None:
    """What a client waits for while its broker starts, as `%4|1700000000.0|GETPID|...` does, says nothing."""
    assert re.findall(r"(?m)^%\d\|.*$", output) == []


@pytest.mark.parametrize(
    ("events", "mode"), [(20_000, ()), (3_000, ("--backlog",))], ids=["live", "backlog"]
)
def test_every_event_is_accounted_for(
    tmp_path: Path, environment: dict[str, str], mark: str, events: int, mode: tuple[str, ...]
) -> None:
    """Nothing lost, nothing double, every malformed record refused for its own reason."""
    arguments = ("--events", str(events), "--malformed", "0.02", "--json", *mode)
    process = start(environment, *arguments)
    output, _ = process.communicate(timeout=280)
    assert process.returncode == 0, output
    assert_no_line_of_a_library(output)
    summary = json.loads(output.splitlines()[-1])
    assert summary["lost"] == summary["double"] == summary["unexpected"] == 0
    malformed = events // 50
    assert summary["events"] == events + malformed
    assert summary["dead_lettered"] == sum(summary["dead_letters"].values()) == malformed
    assert summary["predicted"] > events // 4
    assert summary["predicted"] + summary["state_only"] + malformed == summary["events"]
    assert summary["served_by"] == {"champion": summary["predicted"]}
    assert 0 < summary["labels"] < summary["predicted"]
    # The state begins empty: on its first day the champion is not better than the static model yet.
    assert 0.5 < summary["auc"] < 1.0
    assert 0.5 < summary["auc_static"] < 1.0
    assert 0 < summary["latency_p50_seconds"] <= summary["latency_p99_seconds"]
    if mode:
        assert summary["same_as_offline"] == 1.0
        assert summary["auc"] == summary["auc_offline"]
    assert_nothing_is_left(tmp_path, mark)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_in_the_middle_leaves_nothing_behind(
    tmp_path: Path, environment: dict[str, str], mark: str, number: signal.Signals
) -> None:
    """All three children and their directories are gone."""
    process = start(environment, *PACE)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "predictions" in line and " 0 predictions" not in line:
                break
        else:
            pytest.fail("it ended before the first prediction")
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait(timeout=60) == 130, rest
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in rest
    assert_nothing_is_left(tmp_path, mark)


def test_what_keep_prints_can_be_pasted(
    tmp_path: Path, environment: dict[str, str], mark: str
) -> None:
    """The variables lead to the demo's services and group, and no line for a shell is cut."""
    process = start(environment, "--keep", *PACE)
    assert process.stdout is not None
    exports, audit, lines = {}, "", []
    try:
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if found := re.match(r"  export (\w+)=(\S+)$", line):
                exports[found[1]] = found[2]
            elif found := re.match(r"  (\S+/stream-app audit) ", line):
                audit = found[1]
            elif line.startswith("A browser"):
                break
        audited = subprocess.run(
            ["sh", "-c", audit],
            cwd=ROOT,
            env={**environment, **exports},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert audited.returncode == 0, audited.stdout + audited.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
    assert_no_line_of_a_library("\n".join(lines))
    assert exports["STREAM_APP_APPLICATION"] == "flights-demo"
    assert max(map(len, lines)) <= 100
    assert len([line for line in lines if line.startswith("  kcat ")]) == 2
    assert_nothing_is_left(tmp_path, mark)
