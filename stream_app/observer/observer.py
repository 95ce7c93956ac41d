"""Hands each event to those who listen for its kind.

Stages, transport and recovery say what happens and know nobody who listens; metrics, health,
watchdog and log listen and know no stage. Who listens is fixed when the observer is made, so telling
needs no lock, and an event for which nobody listens costs a look into a dictionary.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from stream_app.observer.events import StageBegan, StageEnded, WorkEvent
from stream_app.records.record import Record
from stream_app.text.rate_limited import RateLimited

__all__ = ["Listener", "Observer", "on"]

log = logging.getLogger(__name__)

_E = TypeVar("_E", bound=WorkEvent)


class Listener(NamedTuple):
    """Who is told of one kind of event; made by `on`."""

    kind: type[WorkEvent]
    call: Callable[[Any], object]


def on(kind: type[_E], call: Callable[[_E], object]) -> Listener:
    """Let `call` be told of each event of exactly this kind."""
    return Listener(kind, call)


class Observer:
    """Calls listeners, in the order in which they were given, on the thread that tells.

    A listener that raises is logged, a line in a while, and neither the work nor another listener
    notices.
    """

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        """Without listeners, telling does nothing."""
        calls: dict[type[WorkEvent], list[tuple[Callable[[Any], object], RateLimited]]] = {}
        for listener in listeners:
            write = RateLimited(partial(log.error, exc_info=True))
            calls.setdefault(listener.kind, []).append((listener.call, write))
        self._calls = {kind: tuple(of_kind) for kind, of_kind in calls.items()}

    def tell(self, event: WorkEvent) -> None:
        """Tell everybody who listens for this kind of event; any thread may call it."""
        for call, write in self._calls.get(type(event), ()):
            try:
                call(event)
            except Exception:  # noqa: BLE001 - whatever it is, the work goes on
                write("a listener failed on %s, and the work goes on", type(event).__name__)

    def stage(self, stage: str, records: Iterable[Record]) -> _Stage:
        """Tell that a stage begins and ends: ``with observer.stage("score", records): ...``.

        `records` is iterated by listeners that have to name them, each time from the beginning.
        """
        return _Stage(self, stage, records)


class _Stage:
    """Tells when its `with` block begins and ends, however it ends."""

    __slots__ = ("_observer", "_records", "_since", "_stage")

    def __init__(self, observer: Observer, stage: str, records: Iterable[Record]) -> None:
        self._observer = observer
        self._stage = stage
        self._records = records
        self._since = 0.0

    def __enter__(self) -> None:
        self._observer.tell(StageBegan(self._stage, self._records))
        self._since = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        seconds = time.perf_counter() - self._since
        self._observer.tell(StageEnded(self._stage, self._records, seconds))
