"""Logging: one line a message, on stderr, with the time in UTC. Payloads are never logged.

What is given as ``extra={...}`` becomes fields: ``name=value`` in text, members in JSON. Every line
has the field `application` once it is known; what is about a record or a partition has `topic`,
`partition` and `offset` (see `records.log_fields`), what is about several has `partitions`, and what
is about a wait has `service`. The field `worker` is its static member id, else HOST:PROCESS. A line
that comes too often is held back, and told later with how many were left out: see `storms`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO
from urllib.parse import quote, unquote

from stream_app.telemetry.storms import SECONDS, Storms

__all__ = ["configure_logging", "hide", "name_application", "worker_name"]

_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


_SHORTEST_SECRET: Final = 6
"""What is shorter is a part of too many words."""
_KEY_LINE: Final = 16
_QUOTES: Final[Sequence[Callable[[str], str]]] = (
    lambda secret: json.dumps(secret)[1:-1],
    lambda secret: repr(secret)[1:-1],
    lambda secret: quote(secret, safe=""),
    lambda secret: unquote(secret),
)
"""How a message may write a secret: as JSON, as Python does, and with or without the %20 of an address."""


def configure_logging(
    level: str, style: Literal["text", "json"], secrets: Iterable[str] = ()
) -> None:
    """Send every logger's messages of at least `level` to stderr, and nowhere else.

    `secrets` are masked wherever somebody else's message quotes one: librdkafka does so with a
    command that failed.
    """
    handler = _Handler(style, secrets)
    root = logging.getLogger()
    for present in root.handlers[:]:
        root.removeHandler(present)
    root.addHandler(handler)
    root.setLevel(level)
    # Faust tells of each of its services as it starts and stops: news for its developers only.
    for chatty in ("faust", "mode"):
        logging.getLogger(chatty).setLevel(level if level != "INFO" else "WARNING")


def name_application(application: str | None, instance: str | None = None) -> None:
    """Say in each line from now on which application it is of, and which worker writes it.

    `application`: None where it is not known yet. `instance`: the worker's static member id, if it has
    one.
    """
    named = {} if application is None else {"application": application}
    for handler in _handlers():
        handler.names = {**named, "worker": worker_name(instance)}


def worker_name(instance: str | None) -> str:
    """What tells a worker from all others: its static member id, else host and process id."""
    return instance or f"{socket.gethostname()}:{os.getpid()}"


def hide(secrets: Iterable[str]) -> None:
    """Mask more secrets from now on."""
    for handler in _handlers():
        handler.hide(secrets)


def _handlers() -> list[_Handler]:
    return [each for each in logging.getLogger().handlers if isinstance(each, _Handler)]


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _Mask:
    """Masks secrets in what a line says, before it is written as JSON: that would write them otherwise."""

    def __init__(self) -> None:
        self._secrets: list[str] = []

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask more of them, however a text quotes them."""
        told = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        # Of a key in a file, each line by itself: who quotes it may cut it.
        told |= {line for secret in told for line in secret.splitlines() if len(line) >= _KEY_LINE}
        quoted = {as_written(secret) for secret in told for as_written in _QUOTES}
        self._secrets = sorted({*self._secrets, *told, *quoted}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "********")
        return text


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to stderr, without secrets."""

    def __init__(self, style: Literal["text", "json"], secrets: Iterable[str]) -> None:
        super().__init__(sys.stderr)
        self._mask = _Mask()
        self.setFormatter((_JsonFormatter if style == "json" else _TextFormatter)(self._mask))
        self._storms = Storms()
        self._timer: threading.Timer | None = None
        self.names: dict[str, str] = {}
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask more secrets."""
        self._mask.hide(secrets)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or count it in a storm; `handle` sees to it that one thread does at a time."""
        for due in self._storms.due():
            super().emit(due)
        if self._storms.takes(record):
            super().emit(record)
        elif self._timer is None:
            self._timer = threading.Timer(SECONDS, self._storm_is_over)
            self._timer.daemon = True
            self._timer.start()

    def _storm_is_over(self) -> None:
        with self.lock or contextlib.nullcontext():
            self._timer = None
            for due in self._storms.due(all_of_them=True):
                super().emit(due)

    def close(self) -> None:
        """Tell of what was left out, and end."""
        if self._timer is not None:
            self._timer.cancel()
        self._storm_is_over()
        super().close()

    def format(self, record: logging.LogRecord) -> str:
        """Return the whole text of a message."""
        for name, value in self.names.items():
            vars(record).setdefault(name, value)
        return super().format(record)


class _Formatter(logging.Formatter):
    def __init__(self, mask: _Mask) -> None:
        super().__init__()
        self.mask = mask

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the library calls it so
        """Return a traceback without secrets."""
        return self.mask(super().formatException(ei))


class _TextFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return ``TIME LEVEL LOGGER MESSAGE name=value``, and a traceback on lines of its own."""
        fields = "".join(f" {name}={_text(value)}" for name, value in _fields(record).items())
        said = self.mask(f"{record.getMessage()}{fields}")
        line = f"{_time(record)} {record.levelname:<7} {record.name} {said}"
        # A name out of a record must not be able to forge a line of the log.
        line = line.replace("\r", "\\r").replace("\n", "\\n")
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


class _JsonFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON object."""
        said = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": self.mask(record.getMessage()),
        }
        fields = {name: self._masked(value) for name, value in _fields(record).items()}
        # What is said stands first, for whoever reads the line, and no field takes its place.
        entry = said | fields | said
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)

    def _masked(self, value: Any) -> Any:
        """A field: numbers and lists stay what they are."""
        if isinstance(value, list):
            return [self._masked(each) for each in value]
        return value if isinstance(value, int | float | None) else self.mask(str(value))
