"""Logging: one line a message, on stderr, with the time in UTC. Payloads are never logged.

What is given as ``extra={...}`` becomes fields: ``name=value`` in text, members in JSON. Every line
has the field `application` once it is known; what is about a record or a partition has `topic`,
`partition` and `offset` (see `records.log_fields`), what is about several has `partitions`, and what
is about a wait has `service`. The field `worker` is its static member id, else HOST:PROCESS.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO
from urllib.parse import quote, unquote

__all__ = ["configure_logging", "hide", "name_application", "worker_name"]

_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


_SHORTEST_SECRET: Final = 6
"""What is shorter is a part of too many words."""
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
    handler = _Handler(secrets)
    handler.setFormatter(_JsonFormatter() if style == "json" else _TextFormatter())
    root = logging.getLogger()
    for present in root.handlers[:]:
        root.removeHandler(present)
    root.addHandler(handler)
    root.setLevel(level)
    # Faust tells of each of its services as it starts and stops: news for its developers only.
    logging.getLogger("librdkafka").addFilter(Repeats(seconds=10.0))
    for chatty in ("faust", "mode"):
        logging.getLogger(chatty).setLevel(level if level != "INFO" else "WARNING")


def name_application(application: str, instance: str | None = None) -> None:
    """Say in each line from now on which application it is of, and which worker writes it.

    `instance`: the worker's static member id, if it has one.
    """
    for handler in _handlers():
        handler.names = {"application": application, "worker": worker_name(instance)}


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


class Repeats(logging.Filter):
    """Lets a kind of message of librdkafka through once in `seconds`; it repeats itself a lot.

    Its messages are formatted from (kind, client, text): see the `logger` of confluent-kafka.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._next: dict[object, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the message is shown."""
        kind = record.args[0] if isinstance(record.args, tuple) and record.args else record.msg
        now = self._clock()
        if now < self._next.get(kind, 0.0):
            return False
        self._next[kind] = now + self._seconds
        return True


class _Handler(logging.StreamHandler[TextIO]):
    """Writes to stderr, without secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__(sys.stderr)
        self._secrets: list[str] = []
        self.names: dict[str, str] = {}
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """Mask more secrets, however a line quotes them."""
        told = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        quoted = {as_written(secret) for secret in told for as_written in _QUOTES}
        self._secrets = sorted({*self._secrets, *told, *quoted}, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """Return the whole text of a message."""
        for name, value in self.names.items():
            vars(record).setdefault(name, value)
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, "********")
        return text


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return ``TIME LEVEL LOGGER MESSAGE name=value``, and a traceback on lines of its own."""
        fields = "".join(f" {name}={_text(value)}" for name, value in _fields(record).items())
        line = f"{_time(record)} {record.levelname:<7} {record.name} {record.getMessage()}{fields}"
        # A name out of a record must not be able to forge a line of the log.
        line = line.replace("\r", "\\r").replace("\n", "\\n")
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Return one JSON object."""
        entry = {
            **_fields(record),
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)
