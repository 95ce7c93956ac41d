"""The worker as production starts it: a process of its own, told everything by its environment."""

from __future__ import annotations

import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from demo.errors import DemoError
from stream_app.local.ports import HOST, free_ports
from stream_app.local.process import SupervisedProcess

__all__ = ["ROOT", "Worker"]

#: The folder of the repository: the code and the artifacts are below it.
ROOT: Final = Path(__file__).resolve().parents[1]

_PROBE_SECONDS: Final = 1.0
_STOP_SECONDS: Final = 60.0
_PREFIX: Final = "STREAM_APP_"


class Worker:
    """``stream-app run`` as a child that ends with us, in a directory that is removed then.

    A context manager; leaving it kills the worker unless `stop` has ended it in good order.
    """

    def __init__(
        self,
        usecase: str,
        *,
        application: str,
        root: Path = ROOT,
        options: Sequence[str] = (),
        **settings: str,
    ) -> None:
        """`usecase` is MODULE:OBJECT; `settings` are the worker's, by name, as `application` is.

        `root` is the checkout whose code and artifacts it runs; `options` are those of the command.
        """
        self._options = options
        self.application = application
        self.address = f"{HOST}:{free_ports(1)[0]}"
        """Where metrics and health are served."""
        self._usecase = usecase
        # The demonstration is the same on every machine: a variable that is set for another
        # worker has no say in it.
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith(_PREFIX)
        }
        settings = {
            "application": application,
            "artifacts": str(root / "artifacts"),
            "http_host": HOST,
            "http_port": self.address.rpartition(":")[2],
            **settings,
        }
        self._environment |= {_PREFIX + name.upper(): text for name, text in settings.items()}
        paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._environment["PYTHONPATH"] = os.pathsep.join(paths)
        self._process: SupervisedProcess | None = None

    def start(self) -> None:
        """Start it; `is_ready` tells when it takes records."""
        self._process = SupervisedProcess("worker")
        command = [sys.executable, "-m", "stream_app", "run", *self._options, self._usecase]
        self._process.spawn(command, self._environment)

    @property
    def pid(self) -> int:
        """Its process id; behind `--workers`, that of what watches over them."""
        pid = self._running().pid
        assert pid is not None
        return pid

    @property
    def is_ready(self) -> bool:
        """Whether it says that it takes records."""
        try:
            url = f"http://{self.address}/readyz"
            with urllib.request.urlopen(url, timeout=_PROBE_SECONDS) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def check(self) -> None:
        """Raise an error with the end of its log if it does not run."""
        process = self._running()
        if (code := process.poll()) is not None:
            raise process.failure(f"The worker has ended on its own with code {code}.")

    def stop(self) -> int:
        """End it in good order (SIGTERM) and return its exit code."""
        process = self._running()
        process.signal(signal.SIGTERM)
        code = process.wait(_STOP_SECONDS)
        if code is None:
            raise process.failure(f"The worker did not end within {_STOP_SECONDS:g} s of SIGTERM.")
        return code

    def keep_log(self, why: str) -> str:
        """Copy its log to a place that stays; return `why`, that place and the log's end."""
        return str(self._running().failure(why))

    def close(self) -> None:
        """Kill it if it still runs, and remove its directory."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _running(self) -> SupervisedProcess:
        if self._process is None:
            raise DemoError("The worker was not started.")
        return self._process
