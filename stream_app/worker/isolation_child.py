"""The child process in which records are tried: `python -m stream_app.worker.isolation_child DESCRIPTOR`.

It does to one record at a time what the worker does to a batch, up to the score: nothing is
published or written. The child announces each stage before it begins, so its last message tells in
which stage it died.
"""

from __future__ import annotations

import contextlib
import faulthandler
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

from stream_app.config.settings import Settings
from stream_app.config.usecase import load_usecase
from stream_app.crash_isolation.trial import Given, told
from stream_app.errors import RefusedError, ServiceAwayError, StreamAppError
from stream_app.features.stores import StateLostError, StoreUnavailableError
from stream_app.features.usecase import UseCase
from stream_app.models import load_models
from stream_app.observer.events import StageBegan
from stream_app.observer.observer import Observer, on
from stream_app.predictor.assembly import make_predictor
from stream_app.records.partition import Partition
from stream_app.records.record import Record
from stream_app.state.open_store import open_store
from stream_app.telemetry.logs import configure_logging, name_application
from stream_app.text.foreign import bounded
from stream_app.waiting.ask_once import AskOnce

__all__ = ["main"]

_T = TypeVar("_T")

_IDLE_SECONDS = 60.0
"""Without a record for so long, the child ends; it is started again when there is one."""
_FIRST_TO_GO = "1000"
"""Should memory run out, the kernel ends this process rather than the worker."""


class _ServiceFailedError(Exception):
    """Whatever came out of a call to a service: no record is to blame for it."""


class _AskOnce(AskOnce):
    """An absence is waited for by the worker, which is told of it."""

    def __call__(
        self,
        service: str,
        call: Callable[[], _T],
        before_waiting: Callable[[], None] | None = None,
    ) -> _T:
        try:
            return super().__call__(service, call, before_waiting)
        except Exception as error:
            raise _ServiceFailedError from error


class _Trial:
    """Takes one record as far as the score; waits for nothing and changes nothing outside."""

    def __init__(self, settings: Settings, usecase: UseCase, say: Callable[..., None]) -> None:
        self._predictor = make_predictor(
            settings,
            usecase,
            load_models(usecase, settings.artifacts),
            open_store(settings, usecase, settings.application or usecase.name),
            _AskOnce(),
            Observer([on(StageBegan, lambda begun: say("stage", begun.stage))]),
        )

    def __call__(self, given: Given) -> None:
        partition = Partition(given.topic, given.number, given.rank, given.source)
        self._predictor.state.fencing.register(partition, given.source_id)
        record = Record(
            partition, given.offset, given.timestamp, given.key, given.value, given.headers
        )
        record.known_at = given.known_at
        try:
            self._predictor([record])
        finally:
            self._predictor.state.forget_all()


def main(descriptor: int) -> None:
    """Try records until the worker closes its end, or has none for a while."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # meant for the worker, which ends this process
    with contextlib.suppress(OSError):  # elsewhere than on Linux
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    faulthandler.enable()
    with contextlib.suppress(EOFError), Connection(descriptor) as connection:

        def say(*what: str) -> None:
            connection.send(told(*what))

        settings: Settings = connection.recv()
        configure_logging("ERROR", settings.log_format, settings.secrets())
        usecase = load_usecase(settings.usecase or "")
        name_application(settings.application or usecase.name)
        trial = _Trial(settings, usecase, say)
        say("ready")
        while connection.poll(_IDLE_SECONDS):
            given = Given(*connection.recv())
            # The worker ends what takes too long; this is for when the worker is gone.
            faulthandler.dump_traceback_later(2 * settings.work_deadline_seconds, exit=True)
            try:
                trial(given)
            except BaseException as error:  # noqa: BLE001 - it would end the worker
                say(*_told_of(error))
            else:
                say("survived")
            faulthandler.cancel_dump_traceback_later()


def _told_of(error: BaseException) -> tuple[str, ...]:
    """The parts of `Told` that say what ended the trial; only "raised" blames the record."""
    cause = error.__cause__ if isinstance(error, _ServiceFailedError) else error
    if isinstance(cause, ServiceAwayError):
        what = "refused" if isinstance(cause, RefusedError) else "away"
        return what, str(cause), cause.service
    if isinstance(cause, StoreUnavailableError | StateLostError):
        return "away", str(cause)
    kind = type(cause)
    name = f"{kind.__module__}.{kind.__qualname__}"
    # The system's errors (no file handle, no memory, no disk) may meet any record.
    if cause is not error or isinstance(cause, StreamAppError | OSError | MemoryError):
        is_sentence = isinstance(cause, StreamAppError)
        if is_sentence:
            return "failed", str(cause)
        if isinstance(cause, OSError):  # its text may name a file, and that may be of the record
            return "failed", bounded(f"{name}: [Errno {cause.errno}] {cause.strerror}")
        return "failed", bounded(f"{name}: {cause}")
    return "raised", name


if __name__ == "__main__":
    main(int(sys.argv[1]))
