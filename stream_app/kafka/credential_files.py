"""Certificates, keys and authorities that were renewed while the worker runs.

librdkafka reads these files once, when a client is made, and the worker's clients live as long as it
does. Connections that are open go on; a new one, after a broker's restart or at a failover, is made
with what the file held at the start, and is refused once that has expired. So the worker ends in
order as soon as a file is another, and whoever supervises it starts it again.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from stream_app.errors import ConfigurationError, RestartError

__all__ = ["CredentialFiles"]

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 5.0

#: Device, inode, size and time of each file below a path: what changes before content does.
_Signature = tuple[tuple[str, int, int, int, int], ...]


class CredentialFiles:
    """Looks at files, and says when one has another content that can be used."""

    def __init__(
        self,
        files: Mapping[str, Path],
        *,
        check: Callable[[], None],
        on_changed: Callable[[RestartError], None],
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """`files`: by the property that names each; what they hold now is what is in use.

        `check` raises `ConfigurationError` where no client could be made of what they hold then: a
        certificate is written before its key, or the other way round.
        """
        self._files = dict(files)
        self._check = check
        self._on_changed = on_changed
        self._look_seconds = look_seconds
        self._in_use = {name: _digest(path) for name, path in self._files.items()}
        self._seen = {name: _signature(path) for name, path in self._files.items()}
        self._unusable: dict[str, str | None] | None = None
        self._stop = threading.Event()

    def start(self) -> None:
        """Look every few seconds, on a thread, until something has changed."""
        if self._files:
            threading.Thread(target=self._watch, name="credentials", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.wait(self._look_seconds):
            changed = self.look()
            if changed:
                self._on_changed(changed)
                return

    def look(self) -> RestartError | None:
        """What to end with, if a file has another content that was the same at the last look."""
        seen = {name: _signature(path) for name, path in self._files.items()}
        settled, self._seen = seen == self._seen, seen
        if not settled:
            return None
        found = {name: _digest(path) for name, path in self._files.items()}
        changed = [
            name for name, digest in found.items() if digest not in (self._in_use[name], None)
        ]
        if not changed or found == self._unusable:
            return None
        names = ", ".join(f"{name} ({self._files[name]})" for name in changed)
        try:
            self._check()
        except ConfigurationError as error:
            self._unusable = found
            log.warning("%s has changed, and what was read before stays in use: %s", names, error)
            return None
        return RestartError(
            f"{names} has changed: the worker ends in order, and takes it up when it is started again"
        )


def _signature(path: Path) -> _Signature:
    """Of a file or of what is in a folder; empty while nothing is there."""
    found = []
    for each in _below(path):
        try:
            stat = each.stat()
        except OSError:
            continue
        found.append((str(each), stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def _digest(path: Path) -> str | None:
    """Of the content; None while it cannot be read."""
    digest = hashlib.sha256()
    try:
        for each in _below(path):
            digest.update(os.fsencode(each) + b"\0" + each.read_bytes() + b"\0")
    except OSError:
        return None
    return digest.hexdigest()


def _below(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(each for each in path.iterdir() if each.is_file())
