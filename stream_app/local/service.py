"""What every local service can do: start, end, be killed, be frozen, come back on its port."""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from .errors import LocalServiceError
from .ports import HOST, free_ports
from .process import SupervisedProcess

_PROBE_SECONDS = 0.05


class LocalService(ABC):
    """A server as a child process on a port and in a directory that stay its own until `stop`.

    After `kill` or `terminate`, `start` brings it back on the same port with the same data.
    """

    name: ClassVar[str]

    def __init__(self, *, port: int | None = None, start_seconds: float = 120.0) -> None:
        self.port = free_ports(1)[0] if port is None else port
        self._start_seconds = start_seconds
        self._process: SupervisedProcess | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The server's process id; None before the first start and after `stop`."""
        return None if self._process is None else self._process.pid

    @property
    def directory(self) -> Path:
        """Where the data and the log are; removed by `stop`."""
        return self._running().directory

    @property
    def is_running(self) -> bool:
        """Whether the process lives (a frozen one does)."""
        return self._process is not None and self._process.is_running

    def log_tail(self, lines: int = 30) -> str:
        """Return the last `lines` of the server's log."""
        return self._running().log_tail(lines)

    def check(self) -> None:
        """Raise an error with the end of its log if the server does not run."""
        process = self._running()
        if not process.is_running:
            raise process.failure(f"{self.name} has ended.")

    def start(self) -> None:
        """Start the server and return when it answers."""
        if self.is_running:
            return
        fresh = self._process is None
        try:
            if self._process is None:
                self._process = SupervisedProcess(self.name)
                self._prepare(self._process)
            self._process.spawn(self._command(self._process.directory))
            self._wait_until_it_answers(self._process)
            if fresh:
                self._populate()
        except BaseException:
            if fresh:
                self.stop()
            raise

    def terminate(self, timeout_seconds: float = 30.0) -> None:
        """End the server in good order; its data stay. After `timeout_seconds` it is killed."""
        process = self._running()
        process.signal(signal.SIGCONT)
        process.signal(signal.SIGTERM)
        if process.wait(timeout_seconds) is None:
            process.kill()

    def kill(self) -> None:
        """End the server as `kill -9` does; its data stay."""
        self._running().kill()

    def restart(self) -> None:
        """End the server in good order and start it again on the same port and data."""
        self.terminate()
        self.start()

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open and nothing answers."""
        self._running().signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen server go on."""
        self._running().signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the server and remove its directory. Its data are gone, so it is simply killed."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def _prepare(self, process: SupervisedProcess) -> None:
        """Put into the fresh directory what the server needs to start."""

    @abstractmethod
    def _command(self, directory: Path) -> Sequence[str]:
        """Return the server's command line."""

    @abstractmethod
    def _answers(self) -> bool:
        """Return whether the server answers a client; must not take longer than a second or two."""

    def _populate(self) -> None:  # noqa: B027  most have nothing to be filled with
        """Fill the server once it answers for the first time."""

    def _running(self) -> SupervisedProcess:
        if self._process is None:
            raise LocalServiceError(f"{self.name} was not started.")
        return self._process

    def _wait_until_it_answers(self, process: SupervisedProcess) -> None:
        deadline = time.monotonic() + self._start_seconds
        while not self._answers():
            code = process.poll()
            if code is not None:
                raise process.failure(f"{self.name} ended with code {code} while starting.")
            if time.monotonic() > deadline:
                raise process.failure(
                    f"{self.name} did not answer on {self.address} within {self._start_seconds:g} s."
                )
            time.sleep(_PROBE_SECONDS)
