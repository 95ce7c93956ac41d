"""Calls of librdkafka that do not always return in the time they are given."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from stream_app.observer.events import WaitingBegan, WaitingEnded
from stream_app.observer.observer import Observer

__all__ = ["InTime"]

_GRACE_SECONDS = 1.0
_NAMED_SECONDS: Final = 1.0
"""A call that takes longer is a wait for Kafka."""


class InTime:
    """Makes calls, each on a thread of its own, and leaves behind what does not return.

    Where the coordinator goes away, `send_offsets_to_transaction` may wait for ever (librdkafka
    issues 5456 and 5511).
    """

    def __init__(self, seconds: float, observer: Observer) -> None:
        """`seconds`: how long a call may take."""
        self._seconds = seconds
        self._observer = observer

    def __call__(self, call: Callable[[], object]) -> None:
        """Return when `call` has; raises what it raises, and `TimeoutError` where it does not return."""
        answer: Future[None] = Future()

        def run() -> None:
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                answer.set_exception(error)
            else:
                answer.set_result(None)

        threading.Thread(target=run, name="transaction", daemon=True).start()
        limit = self._seconds + _GRACE_SECONDS
        try:
            answer.result(min(_NAMED_SECONDS, limit))
        except TimeoutError:
            pass
        else:
            return
        self._observer.tell(WaitingBegan("kafka", "a transaction gets no answer"))
        try:
            answer.result(max(0.0, limit - _NAMED_SECONDS))
        finally:
            self._observer.tell(WaitingEnded("kafka"))
