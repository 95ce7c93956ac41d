"""The command line. Each command is a file, imported when it is asked for."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import click

from stream_app.errors import StreamAppError, exit_status

__all__ = ["main"]

#: Command to its module, which defines `command`, and its line of help. Named here so that
#: ``--help`` imports none of them.
_COMMANDS = {
    "new": ("stream_app.cli.new", "Begin a project: a use case, its training and its tests."),
    "run": ("stream_app.cli.run", "Run the worker."),
    "check": ("stream_app.cli.check", "Check a use case and its models, without any service."),
    "doctor": ("stream_app.cli.doctor", "Check a deployment: brokers, topics, Redis, models."),
    "local": ("stream_app.cli.local", "Run a real Kafka and a real Redis on this machine."),
    "send": ("stream_app.cli.send", "Send the records of a log to their topics."),
    "validate": (
        "stream_app.cli.validate",
        "Whether the worker would take events, before they are sent.",
    ),
    "tail": ("stream_app.cli.tail", "Print the records of a topic as they come."),
    "lag": ("stream_app.cli.lag", "How far a consumer group is behind, seen from outside."),
    "audit": ("stream_app.cli.audit", "Account for every record: lost, double, waiting, gone."),
    "changes": (
        "stream_app.cli.changes",
        "What served and what was refused, over the last hours.",
    ),
    "dlq": ("stream_app.cli.dlq", "Dead letters: see why, mend, replay."),
    "resume": (
        "stream_app.cli.resume",
        "Partitions that too many refused records have stopped.",
    ),
    "state": ("stream_app.cli.state", "Rebuild the state from the log."),
    "contract": ("stream_app.cli.contract", "Tell the neighbours what goes in and comes out."),
    "config": ("stream_app.cli.config", "Show the settings in effect and where they come from."),
}

_FAILED = 1
_WRONG = 2
_INTERRUPTED = 130
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class _Commands(click.Group):
    """Imports commands lazily, and reports what is wrong as one line without a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of a day."""
        return [*_COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        command: click.Command = importlib.import_module(_COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and leave with the command's status: 2 means that the caller got something wrong."""
        name = prog_name or "stream-app"
        args = list(sys.argv[1:] if args is None else args) or ["--help"]
        if not standalone_mode:
            return super().main(args, name, complete_var, standalone_mode=False, **extra)
        try:
            with _heeding_signals(args[0]):
                status = super().main(args, name, complete_var, standalone_mode=False, **extra)
        except click.ClickException as error:
            command = getattr(getattr(error, "ctx", None), "command_path", "stream-app")
            hint = f" ({command} --help)" if isinstance(error, click.UsageError) else ""
            _say(f"{command}: {error.format_message()}{hint}")
            status = error.exit_code
        except (click.Abort, KeyboardInterrupt):
            status = _INTERRUPTED
        except BrokenPipeError:
            _let_go_of_stdout()  # the reader went away (`| head`)
            status = _FAILED
        except OSError as error:
            if error.errno not in _FULL:
                raise
            _let_go_of_stdout()
            _say(f"stream-app: the output cannot be written whole: {error.strerror}")
            status = _WRONG
        except StreamAppError as error:
            _say(f"stream-app: {error}")
            status = exit_status(error)
        sys.exit(status if isinstance(status, int) else 0)


@contextmanager
def _heeding_signals(command: str) -> Iterator[None]:
    """End at SIGTERM from the start: process 1 of a container gets only signals it has asked for.

    A worker that is starting has nothing in hand; once it has, its process takes the signals over.
    Other commands end by default, also inside a library's call, unless they are process 1.
    """
    numbers: list[signal.Signals] = []
    if threading.current_thread() is threading.main_thread():
        if command == "run":
            numbers = [signal.SIGTERM, signal.SIGINT]
        elif os.getpid() == 1:
            numbers = [signal.SIGTERM]
    before = {
        number: signal.signal(
            number, lambda number, _: os._exit(0 if command == "run" else 128 + number)
        )
        for number in numbers
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _let_go_of_stdout() -> None:
    """Write nothing more to it: Python would complain once more when it flushes."""
    with suppress(OSError, ValueError):  # it may be no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(message: str) -> None:
    click.echo(" ".join(message.split()), err=True)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: stream-app run features.flights:usecase",
)
@click.version_option(package_name="stream-app", message="%(version)s")
def main() -> None:
    """Streaming inference on Kafka: events in, predictions out, nothing lost.

    USECASE is MODULE:OBJECT; without it, the one named by `usecase` in stream_app.toml or by
    STREAM_APP_USECASE.
    """
