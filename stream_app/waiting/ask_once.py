"""Asking a service once: whoever waits for it waits elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from stream_app.observer.observer import Observer
from stream_app.waiting.retry import Retry

__all__ = ["AskOnce"]

_T = TypeVar("_T")


class AskOnce(Retry):
    """A `Retry` that calls once and raises what the call raises."""

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
