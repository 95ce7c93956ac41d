"""The exceptions of the worker.

    StreamAppError
    +-- ConfigurationError      wrong settings, whenever it is found: one line, exit status 2
    +-- FatalError              cannot go on: a person has to act; one line, exit status 1
    |   +-- RestartError        a start is all it takes: work in hand is finished first
    +-- ServiceAwayError        a service is away: wait and try again (`service` names it)
    |   +-- RefusedError        it answers, and refuses: believed after `refusal_seconds`
    +-- StoppingError           the worker is stopping: give up waiting

A record's own failure is no exception: it is a `records.Failure` that travels with the record.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ConfigurationError",
    "FatalError",
    "RefusedError",
    "RestartError",
    "ServiceAwayError",
    "StoppingError",
    "StreamAppError",
    "exit_status",
]

_FAILED: Final = 1
_WRONG: Final = 2
_AWAY: Final = 3


class StreamAppError(Exception):
    """Base of the worker's exceptions."""


class ConfigurationError(StreamAppError):
    """What the worker was given cannot work; the message is one line for a person."""


class FatalError(StreamAppError):
    """The worker cannot go on; nothing unfinished was committed."""


class RestartError(FatalError):
    """The worker has to be started again to take up what has changed around it; nothing is wrong."""


class ServiceAwayError(StreamAppError):
    """A service the worker depends on is away; trying again later may succeed."""

    def __init__(self, service: str, message: str) -> None:
        super().__init__(message)
        self.service = service


class RefusedError(ServiceAwayError):
    """A service answers and refuses, in a way that servers also do while they start or fail over.

    It is waited for `refusal_seconds`; then the same sentence ends the worker as a `FatalError`.
    """


class StoppingError(StreamAppError):
    """The worker is stopping and this wait was given up."""


def exit_status(error: StreamAppError) -> int:
    """With what a program ends for it: 2 what it was given is wrong, 3 a service is away, else 1."""
    if isinstance(error, ConfigurationError):
        return _WRONG
    return _AWAY if isinstance(error, ServiceAwayError) else _FAILED
