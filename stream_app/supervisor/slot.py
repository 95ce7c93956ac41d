"""The place of one worker: it is filled again when its worker ends, later each time that went badly."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from stream_app.supervisor.child import Child

__all__ = ["HEALTHY_SECONDS", "Slot"]

_FIRST_SECONDS: Final = 0.5
_MOST_SECONDS: Final = 30.0
HEALTHY_SECONDS: Final = 60.0
"""A worker that ran for so long had not begun badly: the next one is started as soon as the first."""


@dataclass
class Slot:
    """Where one worker runs, by its number."""

    number: int
    start: Callable[[int], Child]
    """Starts the worker of a slot."""
    clock: Callable[[], float] = time.monotonic
    child: Child | None = None
    starts: int = 0
    """How often a worker was started here."""
    bad_looks: int = 0
    """How often in a row its worker was seen to be stuck."""
    _began: float = 0.0
    _due: float = 0.0
    _quick_ends: int = 0

    def fill(self) -> Child:
        """Start a worker."""
        self.child = self.start(self.number)
        self.starts += 1
        self.bad_looks = 0
        self._began = self.clock()
        return self.child

    def ended(self) -> float:
        """Its worker has ended; returns in how many seconds the next one is due."""
        now = self.clock()
        self.child = None
        self._quick_ends = 0 if now - self._began >= HEALTHY_SECONDS else self._quick_ends + 1
        wait = min(_MOST_SECONDS, _FIRST_SECONDS * 2.0 ** max(0, self._quick_ends - 1))
        self._due = now + wait
        return wait

    @property
    def due_in_seconds(self) -> float:
        """When it is to be filled, where no worker runs in it."""
        return max(0.0, self._due - self.clock())


def settings_of(number: int, group_instance_id: str | None) -> Mapping[str, str]:
    """What the worker of a slot is told besides the common settings.

    It serves metrics and health to the supervisor alone. A static member id of its own lets a restart
    move no partition.
    """
    own = {"http_host": "127.0.0.1", "http_port": "0"}
    return (
        own
        if group_instance_id is None
        else own | {"group_instance_id": f"{group_instance_id}-{number}"}
    )
