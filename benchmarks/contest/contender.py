"""A contender: a process that reads a backlog and writes predictions, and what is known of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from benchmarks.contest.surroundings import Surroundings

__all__ = ["ROOT", "Contender", "Program", "Worker"]

#: The folder of the repository.
ROOT: Final = Path(__file__).resolve().parents[2]


class Contender(Protocol):
    """What a contest needs to know of a contender."""

    @property
    def name(self) -> str:
        """As tables, results and goals have it."""

    @property
    def guarantee(self) -> str:
        """What it promises for a record, in a few words; `trials` says what was seen of it."""

    @property
    def is_slow(self) -> bool:
        """Whether it drains the small backlog: a thousand or two events a second."""

    @property
    def counts(self) -> bool:
        """Whether it counts what it has finished; else the group's offsets say it, every 100 ms."""

    def command(self) -> list[str]:
        """What is executed."""

    def environment(self, surroundings: Surroundings) -> Mapping[str, str]:
        """Variables beside those of this process."""

    def missing(self) -> str | None:
        """Why it cannot run here, or None."""


@dataclass(frozen=True)
class Program:
    """A module of this repository that is run as a program."""

    name: str
    module: str
    guarantee: str
    arguments: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    is_slow: bool = False
    counts: bool = True
    venv: Path | None = None
    """An environment of its own; None: that of this process."""

    @property
    def _python(self) -> str:
        return sys.executable if self.venv is None else str(self.venv / "bin" / "python")

    def command(self) -> list[str]:
        """The program reads what it must know from its environment."""
        return [self._python, "-m", self.module, *self.arguments]

    def environment(self, surroundings: Surroundings) -> Mapping[str, str]:
        """Where it works, and how."""
        return {"PYTHONPATH": str(ROOT), **surroundings.environment(), **self.variables}

    def missing(self) -> str | None:
        """Its environment may not have been made."""
        if self.venv is not None and not Path(self._python).exists():
            return f"not installed: `make bench-setup` makes {self.venv.name}"
        return None


@dataclass(frozen=True)
class Worker:
    """``stream-app run``, of this checkout or of another one."""

    name: str
    guarantee: str
    settings: Mapping[str, str] = field(default_factory=dict)
    root: Path = ROOT
    is_slow: bool = False
    counts: bool = False

    def command(self) -> list[str]:
        """As in production."""
        return [sys.executable, "-m", "stream_app", "run", "features.flights:usecase"]

    def environment(self, surroundings: Surroundings) -> Mapping[str, str]:
        """Its settings."""
        settings = {
            "application": surroundings.group,
            "artifacts": str(self.root / "artifacts"),
            "bootstrap_servers": surroundings.bootstrap,
            "redis_url": surroundings.redis,
            "http_host": "127.0.0.1",
            "http_port": "0",
            "log_level": "WARNING",
            **self.settings,
        }
        variables = {f"STREAM_APP_{name.upper()}": value for name, value in settings.items()}
        # `-m` would look into the working directory first, which is this checkout.
        return {"PYTHONPATH": str(self.root), "PYTHONSAFEPATH": "1", **variables}

    def missing(self) -> str | None:
        """It needs what this process needs."""
        return None
