"""Our end of a supervised process: start, signal, wait, and leave nothing behind."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import supervisor
from .errors import LocalServiceError

_POLL_SECONDS = 0.02
_CLOSE_SECONDS = 20.0


class SupervisedProcess:
    """One process at a time, in a temporary directory that ends with it or with us.

    `name` is a word for people; it is part of the directory's name. The process can be ended and
    started again in the same directory until `close` is called.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.pid: int | None = None
        self._lock = threading.Lock()
        self._requests = 0
        # -I and -S: nothing of the caller's environment is imported, and it starts in no time.
        self._supervisor = subprocess.Popen(  # noqa: S603  our own script
            [sys.executable, "-I", "-S", supervisor.__file__, f"stream-app-{name}-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._supervisor.stdin is not None
        assert self._supervisor.stdout is not None
        self._to = self._supervisor.stdin
        self._from = self._supervisor.stdout
        self.directory = Path(self._read()["directory"])
        self.log_path = self.directory / f"{name}.log"

    def spawn(self, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
        """Start `argv` with its output appended to the log; return its process id."""
        answer = self._ask(
            {
                "do": "spawn",
                "argv": list(argv),
                "env": dict(os.environ if environment is None else environment),
                "log": str(self.log_path),
            }
        )
        if "error" in answer:
            raise LocalServiceError(f"Cannot start {self.name}: {answer['error']}")
        self.pid = int(answer["pid"])
        return self.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives, and its supervisor with it."""
        return self.pid is not None and self._supervisor.poll() is None and self.poll() is None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal, or None while the process runs."""
        code = self._ask({"do": "poll"})["code"]
        return None if code is None else int(code)

    def signal(self, number: int) -> None:
        """Send a signal, if the process still runs."""
        self._ask({"do": "signal", "signal": int(number)})

    def wait(self, timeout_seconds: float) -> int | None:
        """Return the exit code, or None if the process still runs after `timeout_seconds`."""
        deadline = time.monotonic() + timeout_seconds
        while (code := self.poll()) is None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return code

    def kill(self) -> None:
        """Kill the process as `kill -9` does, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        if self.wait(_CLOSE_SECONDS) is None:
            raise LocalServiceError(f"{self.name} (process {self.pid}) does not die.")

    def log_tail(self, lines: int = 30) -> str:
        """Return the last `lines` of what the process wrote."""
        try:
            text = self.log_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def failure(self, what: str) -> LocalServiceError:
        """Return an error that says `what`, shows the end of the log and keeps all of it."""
        if not self.log_path.exists():
            return LocalServiceError(f"{what} It wrote no log.")
        handle, kept = tempfile.mkstemp(prefix=f"stream-app-{self.name}-", suffix=".log")
        os.close(handle)
        shutil.copyfile(self.log_path, kept)
        return LocalServiceError(f"{what} Its log is kept in {kept} and ends:\n{self.log_tail()}")

    def close(self) -> None:
        """End the process if it still runs, and remove the directory."""
        with contextlib.suppress(BrokenPipeError):
            self._to.close()
        try:
            self._supervisor.wait(_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
            raise LocalServiceError(f"{self.name} (process {self.pid}) does not die.") from None
        finally:
            self._from.close()
            # The supervisor has removed it, unless it was killed itself.
            shutil.rmtree(self.directory, ignore_errors=True)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self._requests += 1
            number = self._requests
            try:
                os.write(self._to.fileno(), json.dumps({"id": number, **request}).encode() + b"\n")
                # A Ctrl-C may have come between an earlier request and its answer: skip that one.
                while (answer := self._read()).get("id") != number:
                    pass
            except (BrokenPipeError, ValueError):
                raise LocalServiceError(f"{self.name} was stopped.") from None
            return answer

    def _read(self) -> dict[str, Any]:
        line = self._from.readline()
        if not line:
            raise LocalServiceError(f"The supervisor of {self.name} has ended.")
        answer: dict[str, Any] = json.loads(line)
        return answer
