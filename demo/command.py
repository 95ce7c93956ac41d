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
from typing import Final, NoReturn, TextIO

import click

from demo.demonstration import Demonstration, Options
from demo.display import Display, display_on
from demo.errors import DemoError
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
    display.say("Kafka and Redis start; the first time, Kafka is downloaded (44 MB) ...")
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
    usecase, worker = demonstration.usecase, demonstration.worker
    display.say("")
    display.say("Where to look next")
    if not options.keep:
        display.say("  python -m demo --keep        everything stays up, for kcat and a browser")
        display.say("  python -m demo --backlog     the worker starts late and catches up")
        display.say(
            "  stream-app local             Kafka and Redis alone, for a worker of your own"
        )
        display.say(
            "  README.md                    what is promised, and how to bring your own model"
        )
        return
    for topic in (usecase.predictions_topic, usecase.dead_letters_topic):
        display.say(f"  kcat -b {services.kafka} -t {topic} -C -e -f '%h\\n%s\\n'")
    display.say(f"  http://{worker.address}/metrics   http://{worker.address}/readyz")
    display.say(f"  export STREAM_APP_BOOTSTRAP_SERVERS={services.kafka}")
    display.say(f"  export STREAM_APP_REDIS_URL={services.redis}")
    display.say("Ctrl-C stops all of it.")


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
    click.echo(text, err=True)
    sys.exit(status)
