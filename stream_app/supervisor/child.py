"""One worker as a child process: how it is started, what it says, and how it is told to stop.

It is started anew, not forked: librdkafka and ONNX Runtime have threads, which no fork survives. It is
in a process group of its own, so that Ctrl-C in a terminal reaches the supervisor alone, and it ends
when the supervisor is gone (`worker/supervised.py`). `local/process.py` would not do: it kills what it
runs instead of letting it finish, and takes a helper for each process.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence

from stream_app.worker.supervised import STOP

__all__ = ["Child"]

_PREFIX = "STREAM_APP_"


class Child:
    """A worker process that was started."""

    def __init__(self, command: Sequence[str], settings: Mapping[str, str]) -> None:
        """`command` gets the option ``--supervised``; `settings` win over those of the environment."""
        ours, its = socket.socketpair()
        with its:
            self._process = subprocess.Popen(  # noqa: S603  our own command
                [*command, f"--supervised={its.fileno()}"],
                env=_environment(settings),
                stdin=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
                process_group=0,
            )
        ours.setblocking(False)
        self._line = ours
        self._said = b""
        self.port: int | None = None
        """Where its metrics and health are; None until it listens."""
        self.application: str | None = None
        """The name of the application, which it knows from the use case."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def fileno(self) -> int:
        """The line that it speaks on, for who waits for that."""
        return self._line.fileno()

    def hear(self) -> bool:
        """Take in what it said; False where it says no more, because it ends."""
        try:
            said = self._line.recv(4_096)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._said += said
        *lines, self._said = self._said.split(b"\n")
        for line in lines:
            told = json.loads(line)
            self.port, self.application = int(told["port"]), str(told["application"])
        return bool(said)

    def stop(self) -> None:
        """Tell it to finish what is in flight and to end."""
        with contextlib.suppress(OSError):  # it is gone
            self._line.sendall(STOP)

    def kill(self) -> None:
        """End it at once; only before it was reaped."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def reaped(self, status: int) -> None:
        """Note that it has ended, with `waitstatus_to_exitcode` of its status."""
        self._process.returncode = status
        self._line.close()


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    ours = {f"{_PREFIX}{name}".upper(): text for name, text in settings.items()}
    # The names of variables are read in upper and lower case alike.
    kept = {name: text for name, text in os.environ.items() if name.upper() not in ours}
    return kept | ours
