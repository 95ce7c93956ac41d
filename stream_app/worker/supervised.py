"""A worker's end of the line to its supervisor: it says where it listens, and is told to stop.

The line is a socket that the worker inherits. When it closes, the supervisor is gone, however it ended,
and the worker stops in order: no worker is left over that nobody watches. A signal would not do for
that: systemd signals every process of a service at once, and a second signal ends a worker at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable
from typing import Final

__all__ = ["STOP", "Supervised"]

STOP: Final = b"stop\n"
"""What the supervisor says to a worker."""


class Supervised:
    """Listens to the supervisor, on a thread of its own, from the moment it is made."""

    def __init__(self, descriptor: int) -> None:
        """`descriptor`: of the socket."""
        self._line = socket.socket(fileno=descriptor)
        self._line.set_inheritable(False)
        self._lock = threading.Lock()
        self._is_told = False
        # A worker that is starting has nothing in hand.
        self._stop: Callable[[], None] = lambda: os._exit(0)
        threading.Thread(target=self._listen, name="supervised", daemon=True).start()

    def started(self, application: str, port: int, stop: Callable[[], None]) -> None:
        """Say who it is and at which port metrics and health are served.

        From now on `stop` is called when the worker has to stop, once, on any thread.
        """
        with self._lock:
            self._stop = stop
            is_told = self._is_told
        if is_told:
            stop()
            return
        with contextlib.suppress(OSError):  # the supervisor is gone, which `_listen` finds as well
            self._line.sendall(
                json.dumps({"application": application, "port": port}).encode() + b"\n"
            )

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # as if it had been closed
            self._line.recv(len(STOP))
        with self._lock:
            self._is_told = True
            stop = self._stop
        stop()
