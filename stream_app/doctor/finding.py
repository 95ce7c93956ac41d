"""What a look finds: a sentence, and how bad it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from stream_app.errors import ConfigurationError, FatalError, ServiceAwayError
from stream_app.features.stores import StoreUnavailableError

__all__ = ["Finding", "Level", "error", "ok", "told_once", "tried", "warning"]


class Level(Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """It serves, and may cost something one day."""
    ERROR = "error"
    """The worker would not start, or could not go on."""


class Finding(NamedTuple):
    """What was found about one thing."""

    level: Level
    about: str
    """`kafka`, `redis`, `models`, or another part of the deployment."""
    text: str
    """What was found, and what to do where something is to be done."""


def ok(about: str, text: str) -> Finding:
    """Nothing is to be done."""
    return Finding(Level.OK, about, text)


def warning(about: str, text: str) -> Finding:
    """Somebody should look."""
    return Finding(Level.WARNING, about, text)


def error(about: str, text: str) -> Finding:
    """Something must be done."""
    return Finding(Level.ERROR, about, text)


def tried(about: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a look finds; what ends it is an error, and other looks go on."""
    try:
        yield from look()
    except (ConfigurationError, FatalError, ServiceAwayError, StoreUnavailableError) as failed:
        yield error(about, " ".join(str(failed).split()))


def told_once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The same, where several looks meet one error, such as a topic that is missing, from the first alone."""
    met = set()
    for finding in findings:
        if finding.level is Level.ERROR and finding.text in met:
            continue
        met.add(finding.text)
        yield finding
