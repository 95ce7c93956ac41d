"""What a contender is told by whoever starts it: services, names, and where to count."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from benchmarks.contest.progress import Progress

__all__ = ["Surroundings", "end_at_once_when_told"]

_PREFIX: Final = "CONTEST_"


@dataclass(frozen=True)
class Surroundings:
    """Where a contender works."""

    bootstrap: str
    redis: str
    group: str
    """Consumer group, and what names of keys begin with."""
    artifacts: str
    """Folder of the model versions."""
    progress: str
    """File of the count of finished records."""

    def environment(self) -> dict[str, str]:
        """As variables of a child process."""
        return {_PREFIX + name.upper(): value for name, value in vars(self).items()}

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """What the parent said."""
        names = cls.__dataclass_fields__
        return cls(**{name: environment[_PREFIX + name.upper()] for name in names})

    def counter(self) -> Progress:
        """Where finished records are counted."""
        return Progress(Path(self.progress))


def end_at_once_when_told() -> None:
    """SIGTERM ends the process without further ado: what is measured is over by then."""
    signal.signal(signal.SIGTERM, lambda *_: (sys.stdout.flush(), os._exit(0)))
