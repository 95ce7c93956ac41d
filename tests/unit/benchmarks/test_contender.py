"""Who takes part in a contest, as a command with its environment."""

import os
import subprocess
from pathlib import Path

from benchmarks.contest.contender import ROOT, Worker
from benchmarks.contest.surroundings import Surroundings


def test_the_worker_of_another_checkout_runs_the_code_of_that_checkout(tmp_path: Path) -> None:
    """Although every contender is started in the folder of this one."""
    package = tmp_path / "stream_app"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("print('that of the other checkout')")
    there = Worker("worker there", "at least once", root=tmp_path)
    surroundings = Surroundings("localhost:1", "redis://localhost:1", "group", "", "")
    ran = subprocess.run(
        there.command(),
        env={**os.environ, **there.environment(surroundings)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == "that of the other checkout\n", ran.stderr
