"""Keeps N workers running, and ends when it is told to or when a person is needed.

One thread does everything here: it waits for what workers say, for signals, and for the time at which
a slot is to be filled. The pages are served by the server's own threads, which read what is noted.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Final

from stream_app.supervisor.child import Child
from stream_app.supervisor.pages import Place, look
from stream_app.supervisor.slot import Slot

__all__ = ["Supervisor"]

log = logging.getLogger(__name__)

_WRONG: Final = 2
_FAILED: Final = 1
_LOOK_SECONDS: Final = 10.0
"""From one look at the workers' liveness to the next."""
_BAD_LOOKS: Final = 3
"""A worker that is seen to be stuck so often in a row is ended and started again."""
_HANGS_SECONDS: Final = 60.0
"""The supervisor itself hangs if it has not gone round for so long."""
_BEYOND_DRAIN_SECONDS: Final = 30.0
"""How long a worker may take to end besides finishing what is in flight: it bounds that itself."""
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class Supervisor:
    """Runs workers in slots from `run` to its end."""

    def __init__(
        self,
        workers: int,
        start: Callable[[int], Child],
        *,
        drain_seconds: float,
        on_application: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`start` starts the worker of a slot, whose number is 1 or higher.

        `on_application` is told the application's name when a worker has said it.
        """
        self._on_application = on_application
        self._slots = [Slot(number, start) for number in range(1, workers + 1)]
        self._drain_seconds = drain_seconds
        self._selector = selectors.DefaultSelector()
        self._status = 0
        self._signal: signal.Signals | None = None
        self._stops_at: float | None = None
        """When workers that still run are killed; None while nobody wants them to stop."""
        self._round = time.monotonic()
        self._looking: threading.Thread | None = None
        self._next_look = time.monotonic() + _LOOK_SECONDS

    def places(self) -> Sequence[Place]:
        """What is known of each slot; any thread may ask."""
        return [
            Place(
                each.number,
                child.pid if child else None,
                child.port if child else None,
                each.starts,
            )
            for each in self._slots
            for child in [each.child]
        ]

    def is_alive(self) -> bool:
        """Whether the supervisor goes round; any thread may ask."""
        return time.monotonic() - self._round < _HANGS_SECONDS

    def run(self) -> int:
        """Keep the workers running until a signal comes or one ends for good; returns the status.

        0 after a stop that was asked for, 1 where a worker did not end as it should then, and 2 where
        one ended because of a wrong setting, which no restart mends.
        """
        with self._heeding_signals():
            while self._stops_at is None or any(slot.child for slot in self._slots):
                self._round = time.monotonic()
                self._fill()
                self._wait()
                self._reap()
                self._look()
                self._kill_what_is_late()
        return self._status

    def _to_be_filled(self) -> Sequence[Slot]:
        """Slots in which a worker has to be started, now or later."""
        if self._stops_at is not None:
            return ()
        empty = [slot for slot in self._slots if slot.child is None]
        # The first worker shows whether the others can begin at all.
        first = self._slots[0]
        if first.starts <= 1 and (first.child is None or first.child.port is None):
            return [slot for slot in empty if slot is first]
        return empty

    def _fill(self) -> None:
        """Start what is due."""
        for slot in self._to_be_filled():
            if slot.due_in_seconds == 0.0:
                child = slot.fill()
                self._selector.register(child, selectors.EVENT_READ, slot)
                log.info("worker %d is started, process %d", slot.number, child.pid)

    def _wait(self) -> None:
        due = [slot.due_in_seconds for slot in self._to_be_filled()]
        now = time.monotonic()
        if self._stops_at is not None:
            due.append(self._stops_at - now)
        else:
            due.append(self._next_look - now)
        for key, _ in self._selector.select(max(0.0, min(due))):
            if isinstance(key.data, Slot):
                child = key.data.child
                if child is not None and not child.hear():
                    self._selector.unregister(child)
                if child is not None and child.application is not None:
                    self._on_application(child.application)
            else:
                with contextlib.suppress(BlockingIOError):
                    key.fileobj.recv(4_096)  # type: ignore[union-attr]

    def _reap(self) -> None:
        """Take note of every process that has ended: as process 1, also of those of workers."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for slot in self._slots:
                if slot.child is not None and slot.child.pid == pid:
                    self._ended(slot, slot.child, os.waitstatus_to_exitcode(status))

    def _ended(self, slot: Slot, child: Child, status: int) -> None:
        child.hear()  # its last words came before its end
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(child)
        child.reaped(status)
        wait = slot.ended()
        how = f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"
        if status == _WRONG:
            self._status = _WRONG
            if self._stops_at is None:
                log.critical(
                    "worker %d ended with status 2: what it says above has to be mended first, so all "
                    "workers are stopped",
                    slot.number,
                )
                self._stop()
        elif self._stops_at is None:
            log.error("worker %d ended %s; it is started again in %g s", slot.number, how, wait)
        else:
            log.info("worker %d ended %s", slot.number, how)
            if status != 0 and not self._status:
                self._status = _FAILED

    def _look(self) -> None:
        """See, on a thread, whether a worker is stuck: one that is frozen cannot end itself."""
        now = time.monotonic()
        if now < self._next_look or self._stops_at is not None:
            return
        self._next_look = now + _LOOK_SECONDS
        if self._looking is not None and self._looking.is_alive():
            return
        self._looking = threading.Thread(target=self._look_at_all, name="look", daemon=True)
        self._looking.start()

    def _look_at_all(self) -> None:
        looked = [
            (slot, child, child.port)
            for slot in self._slots
            if (child := slot.child) is not None and child.port is not None
        ]
        # At once: each that is frozen takes all the time it is given, and more than one may be.
        with ThreadPoolExecutor(max(1, len(looked))) as pool:
            answers = list(pool.map(lambda each: look(each[2], "/livez"), looked))
        for (slot, child, _), (status, why) in zip(looked, answers, strict=True):
            if slot.child is not child:
                continue  # it has ended meanwhile, and what was seen is nothing of the next one
            slot.bad_looks = 0 if status == 200 else slot.bad_looks + 1
            if slot.bad_looks >= _BAD_LOOKS:
                slot.bad_looks = 0
                log.error("worker %d is stuck and is ended: %s", slot.number, why.strip())
                child.kill()

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        name = signal.Signals(number)
        if self._signal is not None:
            for slot in self._slots:
                if slot.child is not None:
                    slot.child.kill()
            os._exit(128 + number)
        self._signal = name
        log.info(
            "%s: all workers finish what is in flight; a second signal stops at once", name.name
        )
        self._stop()

    def _stop(self) -> None:
        self._stops_at = time.monotonic() + self._drain_seconds + _BEYOND_DRAIN_SECONDS
        for slot in self._slots:
            if slot.child is not None:
                slot.child.stop()

    def _kill_what_is_late(self) -> None:
        if self._stops_at is None or time.monotonic() < self._stops_at:
            return
        for slot in self._slots:
            if slot.child is not None:
                log.error("worker %d has not ended in time and is killed", slot.number)
                slot.child.kill()
        self._stops_at = time.monotonic() + _BEYOND_DRAIN_SECONDS

    @contextlib.contextmanager
    def _heeding_signals(self) -> Iterator[None]:
        """Wake up for signals, the end of a process among them."""
        wakes, waits = socket.socketpair()
        with wakes, waits:
            wakes.setblocking(False)
            waits.setblocking(False)
            self._selector.register(waits, selectors.EVENT_READ)
            before_fd = signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
            before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
            before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
            try:
                yield
            finally:
                signal.set_wakeup_fd(before_fd)
                for number, handler in before.items():
                    signal.signal(number, handler)
                self._selector.close()
