"""Tries records that ended a worker's process in a process of its own: this one is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stream_app.config.settings import Settings
from stream_app.crash_isolation.trial import Trial
from stream_app.observer.observer import Observer
from stream_app.records.failure import Failure
from stream_app.records.record import Record
from stream_app.waiting.ask_once import AskOnce

__all__ = ["isolated_attempt"]


@contextmanager
def isolated_attempt(settings: Settings) -> Iterator[Callable[[Record], Failure | None]]:
    """From a record to why it would end a process, or None; the child is started when it is needed."""
    trial = Trial(settings, AskOnce(), lambda _: 0, Observer(), of="batches")
    try:
        yield trial
    finally:
        trial.close()
