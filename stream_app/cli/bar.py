"""A progress bar of one line on stderr."""

from __future__ import annotations

import shutil
import sys
import time

import click

__all__ = ["Bar"]

_REDRAW_SECONDS = 0.2


class Bar:
    """A line on stderr that says how far it is; nothing where stderr is no terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._next = 0.0

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown and self._next:
            click.echo("\r\x1b[K", nl=False, err=True)

    def __call__(self, what: str, done: int, total: int) -> None:
        """Draw it, a few times a second."""
        if not self._shown or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _REDRAW_SECONDS
        share = done / total if total else 1.0
        filled = "#" * round(30 * share)
        text = f"{what:<7} [{filled:<30}] {share:4.0%}  {done:,} of {total:,} offsets"
        # A line that wraps is not drawn over: it would fill the screen.
        columns = shutil.get_terminal_size().columns - 1
        if len(text) > columns:
            text = f"{what:<7} {share:4.0%}"
        click.echo(f"\r{text[:columns]}\x1b[K", nl=False, err=True)
