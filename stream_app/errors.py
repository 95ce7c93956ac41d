"""The exceptions of the worker.

    StreamAppError
    +-- ConfigurationError      wrong before anything started: one line, exit status 2
    +-- FatalError              cannot go on: the process exits and is started again
    +-- ServiceAwayError        a service is away: wait and try again (`service` names it)
    +-- StoppingError           the worker is stopping: give up waiting

A record's own failure is no exception: it is a `records.Failure` that travels with the record.
"""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "FatalError",
    "ServiceAwayError",
    "StoppingError",
    "StreamAppError",
]


class StreamAppError(Exception):
    """Base of the worker's exceptions."""


class ConfigurationError(StreamAppError):
    """What the worker was given cannot work; the message is one line for a person."""


class FatalError(StreamAppError):
    """The worker cannot go on; nothing unfinished was committed."""


class ServiceAwayError(StreamAppError):
    """A service the worker depends on is away; trying again later may succeed."""

    def __init__(self, service: str, message: str) -> None:
        super().__init__(message)
        self.service = service


class StoppingError(StreamAppError):
    """The worker is stopping and this wait was given up."""
