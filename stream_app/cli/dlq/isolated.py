"""Tries records that ended a worker's process in a process of its own: this one is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from stream_app.config.settings import Settings
from stream_app.crash_isolation.trial import Trial
from stream_app.observer.observer import Observer
from stream_app.records.failure import Failure
from stream_app.records.record import Record
from stream_app.waiting.retry import Retry

__all__ = ["isolated_attempt"]

_T = TypeVar("_T")


class _AskOnce(Retry):
    """Waits for no service: a person waits for the answer."""

    def __init__(self) -> None:
        super().__init__(initial_seconds=0.0, max_seconds=0.0, observer=Observer())

    def __call__(
        self,
        service: str,  # noqa: ARG002
        call: Callable[[], _T],
        before_waiting: Callable[[], None] | None = None,  # noqa: ARG002
    ) -> _T:
        """Call it once."""
        return call()


@contextmanager
def isolated_attempt(settings: Settings) -> Iterator[Callable[[Record], Failure | None]]:
    """From a record to why it would end a process, or None; the child is started when it is needed."""
    trial = Trial(settings, _AskOnce(), lambda _: 0, Observer(), of="batches")
    try:
        yield trial
    finally:
        trial.close()
