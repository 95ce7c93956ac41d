"""The demonstration's command line."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn, TextIO

import click

from demo.demonstration import Demonstration, Options
from demo.display import Display, display_on
from demo.errors import DemoError
from demo.wrapping import wrapped
from stream_app.errors import ConfigurationError
from stream_app.local import LocalServiceError, LocalServices

__all__ = ["command"]

_FAILED: Final = 1
_INTERRUPTED: Final = 130
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command("demo", short_help="A week of flights in a minute.")
@click.option(
    "--events",
    type=click.IntRange(min=1, max=84_472),
    default=20_000,
    show_default=True,
    help="How many events of December 2013 are produced; there are 84,472.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    help="How many times as fast as they happened, at most. [default: 20,000 events take 42 s]",
)
@click.option(
    "--malformed",
    metavar="SHARE",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    help="Malformed records in addition, as a share of the events.",
)
@click.option("--backlog", is_flag=True, help="Produce everything first, then start the worker.")
@click.option("--keep", is_flag=True, help="Stay up after the summary, until Ctrl-C.")
@click.option(
    "--json", "as_json", is_flag=True, help="The summary as JSON, the last line of stdout."
)
def command(
    events: int,
    speed: float | None,
    malformed: float,
    backlog: bool,
    keep: bool,
    as_json: bool,
) -> None:
    """Show flights from New York going in and predictions coming out.

    A real Kafka, a real Redis and the worker are started as child processes; the events of
    December 2013 are produced at an accelerated clock, with malformed records in between. At the
    end every record is accounted for, counted from the topics. Needs the extras local and demo.

    \b
    Example:
      python -m demo
      python -m demo --events 20000 --json
      python -m demo --keep

    Exit status: 0 when every event met the fate it should, 1 when not, 130 after Ctrl-C.
    """
    options = Options(events, speed, malformed, backlog, keep)
    stream = sys.stderr if as_json else sys.stdout
    try:
        with _interruptible(), display_on(stream) as display:
            _log_to(stream)
            status = _run(options, display, as_json)
    except KeyboardInterrupt:
        _end("Stopped; nothing is left behind.", _INTERRUPTED)
    except SystemError as error:
        # What a signal's handler raises inside confluent-kafka comes out of it as this (2.16).
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        _end("Stopped; nothing is left behind.", _INTERRUPTED)
    except (DemoError, LocalServiceError, ConfigurationError) as error:
        _end(str(error), _FAILED)
    sys.exit(status)


def _run(options: Options, display: Display, as_json: bool) -> int:
    begun = time.monotonic()
    _compile_quickly()
    display.say(
        "Apache Kafka and Valkey, the open Redis, start as child processes; the first time, Kafka is "
        "downloaded (44 MB) ..."
    )
    with LocalServices() as services:
        demonstration = Demonstration(options, services, display, begun)
        with demonstration.worker as worker:
            summary = demonstration.run()
            display.say("")
            for line in summary.lines():
                display.say(line)
            if not summary.ok:
                display.say("")
                display.say(worker.keep_log("Not every event met the fate it should."))
            _say_where_to_look(demonstration, services, display, options)
            if as_json:
                click.echo(json.dumps(summary.as_json()))
                sys.stdout.flush()
            if options.keep:
                _stay(demonstration, services)
    return 0 if summary.ok else _FAILED


def _say_where_to_look(
    demonstration: Demonstration, services: LocalServices, display: Display, options: Options
) -> None:
    display.say("")
    if options.keep:
        _say_what_stays(demonstration, services, display)
        return
    demo, stream_app = f"{_program('python')} -m demo", _program("stream-app")
    display.say("Where to look next")
    for command, what in (
        (f"{demo} --keep", "everything stays up, for a second terminal and a browser"),
        (f"{demo} --backlog", "the worker starts late and catches up"),
        (f"{stream_app} local", "Kafka and Redis alone, for a worker of your own"),
        ("README.md", "what is promised, and how to bring your own model"),
    ):
        display.say(f"  {command:<34}  {what}")


def _say_what_stays(
    demonstration: Demonstration, services: LocalServices, display: Display
) -> None:
    usecase, worker = demonstration.usecase, demonstration.worker
    display.say("All of it stays up until Ctrl-C. In a second terminal, in this folder:")
    for name, value in {
        "BOOTSTRAP_SERVERS": services.kafka,
        "REDIS_URL": services.redis,
        # Without it, another worker would be another group and publish every prediction again.
        "APPLICATION": worker.application,
    }.items():
        display.show_command(f"  export STREAM_APP_{name}={value}")
    stream_app = _program("stream-app")
    display.say("and then")
    display.say(f"  {stream_app + ' audit':<34}  what became of every record")
    display.say(f"  {stream_app + ' run':<34}  a second worker, which shares the partitions")
    display.say("or, with kcat installed, the last predictions and dead letters:")
    for topic in (usecase.predictions_topic, usecase.dead_letters_topic):
        display.show_command(
            f"  kcat -b {services.kafka} -t {topic} -C -o -1 -e -q -f '%h\\n%s\\n'"
        )
    display.say(
        f"A browser shows the worker's status page: http://{worker.address}/ (and /metrics, /readyz)"
    )


def _program(name: str) -> str:
    """Return a program of this environment as one can type it here, whether or not it is activated."""
    path = Path(sys.executable).with_name(name)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _stay(demonstration: Demonstration, services: LocalServices) -> None:
    try:
        while True:
            time.sleep(1.0)
            services.check()
            demonstration.worker.check()
    except KeyboardInterrupt:
        return


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let each signal that asks us to end do what Ctrl-C does; `nohup` stays obeyed."""
    asking = [s for s in _SIGNALS if s != signal.SIGHUP or signal.getsignal(s) != signal.SIG_IGN]
    previous = {number: signal.signal(number, _interrupt) for number in asking}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupt(*_: object) -> NoReturn:
    # Once is enough: a second one must not interrupt the cleaning up.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _compile_quickly() -> None:
    """Let Java stop at its first compiler.

    A broker that lives for a minute spends most of it compiling: acknowledgements took 67 to 154 ms
    (median) with both compilers and 11 to 21 ms with the first alone, on two busy cores.
    """
    given = os.environ.get("JAVA_TOOL_OPTIONS", "")
    os.environ["JAVA_TOOL_OPTIONS"] = f"-XX:TieredStopAtLevel=1 {given}".strip()


def _log_to(stream: TextIO) -> None:
    """Let the local services tell of downloads and other things that take their time."""
    logging.basicConfig(stream=stream, format="%(message)s", level=logging.WARNING)
    logging.getLogger("stream_app.local").setLevel(logging.INFO)


def _end(text: str, status: int) -> NoReturn:
    click.echo(wrapped(text), err=True)
    sys.exit(status)
