"""The process around a worker: how it is told to stop, how it fails, and with which status it ends.

There is one way down, whatever the reason: stop the app in order, say nothing that does not help,
and leave with a status that a supervisor understands.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
from typing import Any, NoReturn

import faust

from stream_app.errors import ConfigurationError
from stream_app.worker.watchdog import end_process

__all__ = ["Process"]

log = logging.getLogger(__name__)

_LAST_SECONDS = 5.0
"""How long threads may take to notice that the worker has stopped."""
_BEYOND_DRAIN_SECONDS = 20.0
"""How long a stop may take besides finishing what is in flight: each of its waits has a bound, and
together they take less."""
_FAILED = 1
_WRONG = 2


class Process(faust.Worker):  # type: ignore[misc]
    """Runs a `StreamApp`: a first signal or a failure stops it in order, a second signal at once."""

    logger = logging.getLogger("faust.worker")
    _signal_stop_time: float | None
    _signal_stop_future: asyncio.Future[None] | None

    def __init__(self, app: Any, *services: Any, **options: Any) -> None:
        """`options`: Faust's; logging stays ours, and stdout the caller's."""
        kept = {"override_logging": False, "redirect_stdouts": False, "quiet": True}
        super().__init__(app, *services, **{**options, **kept})
        self.spinner = None  # its control characters would end up in log files
        app.process = self

    def stop_in_order(self) -> None:
        """Stop the app, as a signal would."""
        if self._signal_stop_future is None:
            self._bound_stop(self.app.worker.settings.drain_seconds + _BEYOND_DRAIN_SECONDS)
            self._signal_stop_future = asyncio.ensure_future(
                self._stop_on_signal(signal.SIGTERM), loop=self.loop
            )

    def stop_soon(self) -> None:
        """Stop the app in order, by the supervisor's word; any thread may call it."""

        def stop() -> None:
            if self._signal_stop_future is None:
                log.info("told to stop: finishing what is in flight")
            self.stop_in_order()

        with contextlib.suppress(RuntimeError):  # the loop is closed: it has stopped
            self.loop.call_soon_threadsafe(stop)

    def _bound_stop(self, seconds: float) -> None:
        """End the process at once where the stop itself hangs, with a traceback of every thread.

        Seen once: a service that Faust started while its app was being stopped was never stopped.
        """

        def end() -> None:
            faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr)
            end_process(
                f"the worker has not stopped within {seconds:g} s: the process ends, and what is "
                "unfinished is read again",
                self._status(failed=True),
            )

        bound = threading.Timer(seconds, end)
        bound.daemon = True
        bound.start()

    def _schedule_shutdown(self, number: signal.Signals) -> None:
        if self._signal_stop_time:
            what = f"{number.name} while stopping: the process ends, and what is unfinished is read again"
            end_process(what, 128 + number)
        log.info("%s: finishing what is in flight; a second signal stops at once", number.name)
        self._signal_stop_time = self.loop.time()
        self.stop_in_order()

    def _enter_debugger(self) -> None:
        """Faust would stop the work for a debugger that nobody sits at."""
        self.add_future(self._cry())

    def execute_from_commandline(self) -> NoReturn:
        """Run to the end, and end the process with its status, see `stream_app.cli.run`."""
        try:
            super().execute_from_commandline()
        except SystemExit as end:
            failed = bool(end.code)
        status = self._status(failed=failed)
        # The event loop removed its signal handlers when it closed. A further signal must end the
        # process without waiting for the threads.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: os._exit(status or 128 + number))
        if stuck := self.app.worker.watchdog.unfinished(_LAST_SECONDS):
            end_process(f"stopped while still at work ({stuck}); what is unfinished is read again")
        if inside := self.app.worker.inside_librdkafka:
            log.info("the brokers did not answer %s", inside)
        _leave(status)

    def _status(self, *, failed: bool) -> int:
        """`failed`: Faust did, by itself."""
        if isinstance(self.app.error, ConfigurationError):
            return _WRONG
        return _FAILED if failed or self.app.error is not None else 0


def _leave(status: int) -> NoReturn:
    """End the process without taking the interpreter down.

    librdkafka's threads call into the interpreter until its clients are destroyed. Clients that are
    destroyed together with the interpreter are destroyed last of all, so the process now and then
    ended with SIGSEGV (librdkafka 2.16).
    """
    last = threading.Timer(_LAST_SECONDS, os._exit, [status])  # should a reader of ours be stuck
    last.daemon = True
    last.start()
    atexit._run_exitfuncs()  # of the use case, and of logging
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)
