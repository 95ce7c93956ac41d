"""The process around a worker: how it is told to stop, how it fails, and with which status it ends.

There is one way down, whatever the reason: stop the app in order, say nothing that does not help,
and leave with a status that a supervisor understands.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import Any, NoReturn

import faust

from stream_app.errors import ConfigurationError
from stream_app.logs import get_logger
from stream_app.watchdog import end_process

__all__ = ["Process"]

log = get_logger(__name__)

_LAST_SECONDS = 5.0
"""How long threads may take to notice that the worker has stopped."""
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
            self._signal_stop_future = asyncio.ensure_future(
                self._stop_on_signal(signal.SIGTERM), loop=self.loop
            )

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
        """Run to the end; raises `SystemExit` with the status, see `stream_app.cli.run`.

        Does not return, but ends the process, where a thread is stuck or a second signal asks for it
        (128 and the signal's number).
        """
        try:
            super().execute_from_commandline()
        except SystemExit as end:
            failed = bool(end.code)
        sys.exit(self._leave(self._status(failed=failed)))

    def _status(self, *, failed: bool) -> int:
        """`failed`: Faust did, by itself."""
        if isinstance(self.app.error, ConfigurationError):
            return _WRONG
        return _FAILED if failed or self.app.error is not None else 0

    def _leave(self, status: int) -> int:
        """Wait a moment for the threads; ends the process where one does not end."""
        # The loop took its handlers along; a further signal does not wait for the threads either.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: os._exit(status or 128 + number))
        if stuck := self.app.worker.watchdog.unfinished(_LAST_SECONDS):
            # The interpreter would wait for its threads before it ends.
            end_process(f"stopped while still at work ({stuck}); what is unfinished is read again")
        if inside := self.app.worker.inside_librdkafka:
            # The interpreter must not be taken down under a thread that is inside librdkafka.
            end_process(f"the brokers did not answer {inside}", status)
        return status
