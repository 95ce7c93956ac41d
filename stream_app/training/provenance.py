"""Where a version comes from: commit, libraries, and the moment it counts as created."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["code_commit", "commit_time", "versions_of"]

_ALWAYS = ("numpy", "onnxruntime", "stream-app")


def code_commit(folder: Path) -> str:
    """The commit of the repository that a folder is in, ``-dirty`` where it has changes.

    ``unknown`` outside a repository.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit}-dirty" if _git(folder, "status", "--porcelain", "--", ".") else commit


def commit_time(folder: Path) -> datetime | None:
    """When that commit was made, or None: the same code gives the same version's bytes."""
    time = _git(folder, "show", "-s", "--format=%cI", "HEAD")
    return datetime.fromisoformat(time).astimezone(UTC) if time else None


def versions_of(names: Iterable[str]) -> Mapping[str, str]:
    """The versions of distributions that are installed, and of Python."""
    found = {"python": platform.python_version()}
    for name in sorted({*names, *_ALWAYS}):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *arguments],  # noqa: S607 - whichever git the trainer has
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
