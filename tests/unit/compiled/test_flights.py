"""The demo's events, with compiled code and without: the same states, predictions and dead letters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream_app.compiled import PYTHON_ONLY, why_python

ROOT = Path(__file__).parents[3]


def digest(python_only: str) -> list[str]:
    """What a process says that takes 30,000 events, spoiled ones and conflicts among them."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.compiled.flights_digest", "30000"],
        cwd=ROOT,
        env={**os.environ, PYTHON_ONLY: python_only},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.skipif(why_python() is not None, reason="nothing is compiled here")
def test_thirty_thousand_events_leave_the_same_whichever_way_is_taken() -> None:
    """Every byte of every state, prediction and dead letter; a hash of each is compared."""
    compiled, python = digest("0"), digest("1")
    assert (compiled[0], python[0]) == ("compiled", "python")
    assert compiled[1:] == python[1:]
    assert all(f"'{kind}': " in compiled[1] for kind in ("conflict", "dead letter", "prediction"))
