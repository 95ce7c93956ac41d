"""Observers for tests: what they were told can be looked at."""

from typing import TypeVar

from stream_app.observer.events import WaitingBegan, WaitingEnded, WorkEvent
from stream_app.observer.observer import Observer, on

_E = TypeVar("_E", bound=WorkEvent)


def listening(*kinds: type[_E]) -> tuple[Observer, list[_E]]:
    """An observer, and the events of these kinds that it was told."""
    told: list[_E] = []
    return Observer([on(kind, told.append) for kind in kinds]), told


def listening_to_waits() -> tuple[Observer, list[WaitingBegan | WaitingEnded]]:
    """An observer, and the waits that began and ended."""
    told: list[WaitingBegan | WaitingEnded] = []
    return Observer([on(WaitingBegan, told.append), on(WaitingEnded, told.append)]), told
