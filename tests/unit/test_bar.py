"""The progress bar of the commands that read long."""

import os
import pty
import subprocess
import sys

import pytest

_DRAWN = """
import time
from stream_app.cli.bar import Bar
with Bar() as bar:
    bar("letters", 123_456, 1_000_000)
"""


@pytest.mark.parametrize("columns", [200, 80, 40, 10, 1])
def test_it_is_one_line_however_narrow_the_terminal_is(columns: int) -> None:
    """A line that wraps is not drawn over, and would fill the screen."""
    ours, theirs = pty.openpty()
    subprocess.run(
        [sys.executable, "-c", _DRAWN],
        stderr=theirs,
        env=os.environ | {"COLUMNS": str(columns)},
        check=True,
    )
    os.close(theirs)
    drawn = os.read(ours, 10_000).decode().split("\x1b[K")[0].removeprefix("\r")
    os.close(ours)
    assert len(drawn) < max(columns, 2)
    assert "12%"[: columns - 1] in drawn or columns == 10
