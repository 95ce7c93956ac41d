"""The running demonstration on a terminal, or as plain lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, Protocol, TextIO

from demo.view import View
from demo.wrapping import WIDTH, wrapped
from features.flights.clock import zone

__all__ = ["Display", "display_on"]

_LINE_SECONDS: Final = 3.0
_NEW_YORK: Final = "America/New_York"
_BAR: Final = 40


class Display(Protocol):
    """Shows what happens."""

    def say(self, text: str) -> None:
        """Show a sentence or a row of a table, broken at words."""

    def show_command(self, text: str) -> None:
        """Show a line to be pasted: as it is."""

    def show(self, view: View) -> None:
        """Show one look at what runs."""

    def close(self) -> None:
        """Leave the terminal as it was found."""


@contextmanager
def display_on(stream: TextIO) -> Iterator[Display]:
    """Yield the display for a stream: live if it is a terminal, else plain lines."""
    display = _display(stream)
    try:
        yield display
    finally:
        display.close()


def _display(stream: TextIO) -> Display:
    plain = _Plain(stream)
    if not stream.isatty():
        return plain
    try:
        import rich  # noqa: F401
    except ImportError:
        plain.say(
            'A live display needs the package rich: pip install "stream-app[demo]" brings it. '
            "Without it, lines follow."
        )
        return plain
    return _Live(stream)


class _Plain:
    """A line every few seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next = 0.0

    def say(self, text: str) -> None:
        self.show_command(wrapped(text))

    def show_command(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def show(self, view: View) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _LINE_SECONDS
            print(_line(view), file=self._stream, flush=True)

    def close(self) -> None:
        pass


class _Live:
    """A table that renews itself, by rich."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=stream, highlight=False)
        self._live: Any = None

    def say(self, text: str) -> None:
        self.show_command(wrapped(text, min(self._console.width, WIDTH)))

    def show_command(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def show(self, view: View) -> None:
        from rich.live import Live

        table = _table(view, min(self._console.width, WIDTH))
        if self._live is None:
            self._live = Live(table, console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(table, refresh=True)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def _table(view: View, width: int) -> Any:
    from rich.panel import Panel
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    filled = _BAR * view.sent // max(1, view.planned)
    table.add_row("clock", f"{_clock(view, '%A %d %B 2013, %H:%M')}, New York")
    table.add_row(
        "events",
        f"[green]{'━' * filled}[/][dim]{'━' * (_BAR - filled)}[/] "
        f"{view.sent:,} of {view.planned:,} sent, {view.finished:,} finished",
    )
    table.add_row(
        "a second", f"{view.sent_a_second:,.0f} sent, {view.finished_a_second:,.0f} finished"
    )
    table.add_row("lag", f"{view.lag_records:,} records, {view.lag_seconds:.2f} s")
    table.add_row(
        "latency", f"p50 {_ms(view.latency_p50_seconds)}, p99 {_ms(view.latency_p99_seconds)}"
    )
    table.add_row("predictions", f"[bold]{view.predictions:,}[/]")
    reasons = ", ".join(f"{name} {n}" for name, n in sorted(view.dead_letters.items()))
    table.add_row("dead letters", f"{sum(view.dead_letters.values()):,}  [dim]{reasons}[/]")
    table.add_row(
        "AUC",
        f"champion [bold]{_three(view.auc)}[/], static model {_three(view.auc_static)}, "
        f"on {view.labels:,} flights that have landed",
    )
    return Panel(
        table,
        title="Will it arrive more than 15 minutes late?",
        subtitle="the state started empty",
        title_align="left",
        subtitle_align="left",
        width=width,
    )


def _line(view: View) -> str:
    dead = sum(view.dead_letters.values())
    return (
        f"{_clock(view, '%b %d %H:%M')}  {view.sent:>6,}/{view.planned:,}  "
        f"{view.finished_a_second:>5,.0f}/s  lag {view.lag_seconds:.1f} s  "
        f"p50 {_ms(view.latency_p50_seconds)}  "
        f"{view.predictions:,} predictions  {dead:,} dead letters"
    )


def _clock(view: View, form: str) -> str:
    return datetime.fromtimestamp(view.event_clock, zone(_NEW_YORK)).strftime(form)


def _ms(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1_000:.0f} ms" if seconds < 1.0 else f"{seconds:.1f} s"


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
