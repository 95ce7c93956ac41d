"""The process between us and a service: it ends the service when we end, however we end.

It runs as a script of its own and imports nothing but the standard library. It owns a temporary
directory and one child at a time, and takes requests as lines of JSON on its standard input. When
that pipe closes (the parent ended: exit, signal, kill -9) it kills the child, removes the directory
and ends. A pipe works on Linux and macOS alike, which prctl(PR_SET_PDEATHSIG) does not, and closes
whichever thread of the parent started us.
"""

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# A process forked by the parent holds the pipe open without knowing it. So the parent is also
# looked for, this often (seconds).
_PARENT_CHECK_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1


def _requests(parent: int) -> Iterator[dict[str, Any]]:
    """Yield requests until the parent is gone."""
    pending = b""
    while True:
        readable, _, _ = select.select([0], [], [], _PARENT_CHECK_SECONDS)
        if os.getppid() != parent:
            return
        if not readable:
            continue
        chunk = os.read(0, 65_536)
        if not chunk:
            return
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _answer(content: dict[str, Any]) -> None:
    # The parent may be gone; the next look at the pipe will tell.
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(content).encode() + b"\n")


def _die_with_us() -> Callable[[], None] | None:
    """Return what the child calls before exec so that it also ends if we are killed ourselves."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Child:
    """The one service process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out one request and return its answer."""
        if request["do"] == "spawn":
            return self._spawn(request)
        if self._process is None:
            return {"error": "nothing was started"}
        if request["do"] == "signal":
            # send_signal looks first, so a number that the system gave to another is never hit.
            self._process.send_signal(request["signal"])
        return {"code": self._process.poll()}

    def _spawn(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._process is not None and self._process.poll() is None:
            return {"error": f"process {self._process.pid} still runs"}
        try:
            with Path(request["log"]).open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603  what our own code asks for
                    request["argv"],
                    cwd=self._directory,
                    env=request["env"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=_die_with_us(),
                )
        except OSError as error:
            return {"error": str(error)}
        return {"pid": self._process.pid}

    def end(self) -> None:
        """Kill the child with all its own children, and wait for it."""
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def main() -> None:
    """Serve requests until the parent is gone, then leave nothing behind."""
    # Only the parent decides: a Ctrl-C or a stray SIGTERM must not end us before the service. Not
    # SIG_IGN: the service would inherit that, and never end on SIGTERM itself.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    parent = os.getppid()
    directory = Path(tempfile.mkdtemp(prefix=sys.argv[1]))
    child = _Child(directory)
    try:
        _answer({"directory": str(directory)})
        for request in _requests(parent):
            _answer({"id": request["id"], **child.handle(request)})
    finally:
        child.end()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
