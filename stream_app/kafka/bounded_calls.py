"""Calls of librdkafka that do not always return in the time they are given."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Final

from stream_app.observer.events import WaitingBegan, WaitingEnded
from stream_app.observer.observer import Observer

__all__ = ["InTime"]

_GRACE_SECONDS = 1.0
_NAMED_SECONDS: Final = 1.0
"""A call that takes longer is a wait for Kafka."""
_LOOK_SECONDS: Final = 3.0
"""How often it is asked, meanwhile, what is waited for."""


class InTime:
    """Makes calls, each on a thread of its own, and leaves behind what does not return.

    Where the coordinator goes away, `send_offsets_to_transaction` may wait for ever (librdkafka
    issues 5456 and 5511).
    """

    def __init__(
        self, seconds: float, observer: Observer, why: Callable[[], str | None] = lambda: None
    ) -> None:
        """`seconds`: how long a call may take. `why` finds out what it waits for, if it can."""
        self._seconds = seconds
        self._observer = observer
        self._why = why

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
            self._wait_for(answer, time.monotonic() + max(0.0, limit - _NAMED_SECONDS))
        finally:
            self._observer.tell(WaitingEnded("kafka", is_given_up=not answer.done()))

    def _wait_for(self, answer: Future[None], deadline: float) -> None:
        while (left := deadline - time.monotonic()) > 0 and not answer.done():
            wait([answer], min(_LOOK_SECONDS, left))
            if not answer.done() and (why := self._why()):
                self._observer.tell(WaitingBegan("kafka", why))
        answer.result(0)
