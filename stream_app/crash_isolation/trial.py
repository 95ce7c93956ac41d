"""Trying a record in a child process, which may die of it."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, Final, Literal, NamedTuple

from stream_app.config.settings import Settings
from stream_app.crash_isolation.child_memory import ChildMemory
from stream_app.errors import RefusedError, ServiceAwayError, StoppingError
from stream_app.features.stores import Source
from stream_app.observer.events import Progress
from stream_app.observer.observer import Observer
from stream_app.records.failure import Failure
from stream_app.records.headers import Header
from stream_app.records.log_fields import about
from stream_app.records.partition import Partition
from stream_app.records.record import Record
from stream_app.waiting.retry import Retry

__all__ = ["Given", "Told", "Trial"]

log = logging.getLogger(__name__)

_READY_SECONDS: Final = 120.0
"""How long the child may take to load the use case and its models."""
_LISTEN_SECONDS: Final = 0.02
"""Between two looks at the child's memory, and at whether the worker stops."""
_TRIES: Final = 2
"""Children that must die of a record: one may have been killed for another reason."""
_OUTSIDE: Final = frozenset(
    {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
)
"""Signals that come from outside: of the kernel where memory is short, or of a person."""
_GREW_BYTES: Final = 64 * 1024 * 1024
"""A child that a record made grow by so much was killed for what that record asked of it."""


class Given(NamedTuple):
    """A record, as the child is given it."""

    topic: str
    number: int
    rank: int
    source: Source | None
    source_id: int
    offset: int
    known_at: float
    timestamp: float | None
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]


class Told(NamedTuple):
    """What the child tells: `ready`, `stage` (it begins one), or how it ended.

    `survived`; `raised`: the record made code raise; `failed`: something raised that is no record's
    fault; `away`: a service is away; `refused`: it refused.
    """

    what: str
    detail: str = ""
    service: str = "redis"
    """Which one is away or refused."""


class _Death(NamedTuple):
    """How a child ended, or was ended for it took too long."""

    stage: str
    reason: str
    how: str
    is_its_own: bool = True
    """Whether the record is to blame; what comes from outside says nothing about it."""


class Trial:
    """Tries records in a child that has the same use case and models; it lives until it dies."""

    def __init__(
        self,
        settings: Settings,
        retry: Retry,
        source_id: Callable[[Partition], int],
        observer: Observer,
        *,
        of: Literal["batches", "rebuilding"],
    ) -> None:
        """`source_id` says what the fences of a partition are kept under.

        `observer` is told of progress, with the work it belongs to (`of`), while the caller is not
        stuck but waits for the child.
        """
        self._settings = settings
        self._retry = retry
        self._source_id = source_id
        self._observer = observer
        self._progress = Progress(of)
        self._child: subprocess.Popen[bytes] | None = None
        self._memory: ChildMemory | None = None
        self._connection: Connection | None = None
        self._unusable = False

    def __call__(self, record: Record) -> Failure | None:
        """Return why the record kills, or None if the child survived it or died of something else.

        Waits while a service that the record needs is away; raises `StoppingError`.
        """
        death: _Death | None = None
        for _ in range(_TRIES):
            death = self._retry("redis", lambda: self._once(record))
            if death is None:
                return None
        assert death is not None
        if not death.is_its_own:
            log.error(
                "%s %d is not blamed: twice the child that tried it %s, and had taken no memory to "
                "speak of; the worker itself takes it now",
                record.partition, record.offset, death.how,
                extra=about(record.partition, record.offset),
            )  # fmt: skip
            return None
        message = f"tried alone in a child process, it {death.how}"
        return Failure(death.stage, death.reason, message, disposition="bug")

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _once(self, record: Record) -> _Death | None:
        if self._child is not None and self._child.poll() is not None:
            self.close()  # it was idle, and has ended
        connection = None if self._unusable else self._connection or self._start()
        if connection is None:
            return None
        partition = record.partition
        given = Given(
            partition.topic,
            partition.number,
            partition.rank,
            partition.source,
            self._source_id(partition),
            record.offset,
            record.known_at,
            record.timestamp,
            record.key,
            record.value,
            record.headers,
        )
        end = self._ask(connection, tuple(given), self._settings.work_deadline_seconds)
        if isinstance(end, _Death):
            return end
        if end.what == "away":
            raise ServiceAwayError(end.service, end.detail)
        if end.what == "refused":
            raise RefusedError(end.service, end.detail)
        if end.what == "failed":
            # The worker will meet the same error and report it under its own name.
            log.warning(
                "%s %d could not be tried: %s",
                partition,
                record.offset,
                end.detail,
                extra=about(partition, record.offset),
            )
        return None

    def _start(self) -> Connection | None:
        ours, theirs = Pipe()
        command = [sys.executable, "-m", "stream_app.worker.isolation_child", str(theirs.fileno())]
        self._child = subprocess.Popen(  # noqa: S603 - our own module
            command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
        )
        theirs.close()
        self._memory = ChildMemory(self._child)
        self._connection = ours
        end = self._ask(ours, self._settings, _READY_SECONDS)
        if isinstance(end, _Death):
            self._unusable = True
            log.error("no record can be tried: the child %s before it was ready", end.how)
            return None
        return ours

    def _ask(self, connection: Connection, what: object, seconds: float) -> Told | _Death:
        """Give the child something; return what it tells in the end, or how it ended."""
        assert self._memory is not None
        deadline = time.monotonic() + seconds
        stage = "decode"
        self._memory.begin()
        try:
            connection.send(what)
        except OSError:
            return self._death(stage)
        while True:
            self._observer.tell(self._progress)
            self._memory.look()
            if self._retry.stopped():
                self.close()
                raise StoppingError("stopped while trying records")
            try:
                told = Told(*connection.recv()) if connection.poll(_LISTEN_SECONDS) else None
            except (EOFError, OSError):
                return self._death(stage)
            if told is None:
                if time.monotonic() > deadline:
                    self.close()
                    return _Death(stage, "process-hang", f"was at work for over {seconds:g} s")
            elif told.what == "stage":
                stage = told.detail
            elif told.what == "raised":
                self.close()
                return _Death(stage, "process-crash", f"raised {told.detail}")
            else:
                return told

    def _death(self, stage: str) -> _Death:
        assert self._memory is not None
        code, grown = self._memory.end(), self._memory.grown_bytes
        self.close()
        how = f"ended with {_how(code)}"
        if grown > _GREW_BYTES:
            how += f" when its memory had grown by {grown >> 20} MiB"
        return _Death(
            stage, "process-crash", how, is_its_own=-code not in _OUTSIDE or grown > _GREW_BYTES
        )


def _how(code: int) -> str:
    """An exit code, negative for a signal, in words."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def told(what: str, detail: str = "", service: str = "redis") -> tuple[Any, ...]:
    """What goes over the connection: plain values, whatever either side imported."""
    return tuple(Told(what, detail, service))
