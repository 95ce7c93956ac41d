"""``stream-app tail``: what comes in a topic."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from stream_app.cli.common import settings_of_command
from stream_app.text.foreign import bounded

if TYPE_CHECKING:
    from stream_app.records.headers import Headers

__all__ = ["command"]


@click.command("tail", short_help="Print the records of a topic as they come.")
@click.argument("topic")
@click.option("--from-beginning", is_flag=True, help="What is in the topic already, too.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N records.")
@click.option("--headers", is_flag=True, help="Every header below its record, a line each.")
def command(topic: str, from_beginning: bool, count: int | None, headers: bool) -> None:
    """Print key and value of the records of a topic as they come, a line each, a tab between.

    Below a dead letter stands on a line of its own why it is one. Lines that are no record are indented.

    A record without a key has - in its place, one without a value (a tombstone) too. What a terminal
    would not show as it is, is escaped. Records of transactions that are not committed are left
    out. No group is joined. Ctrl-C ends it.

    \b
    Example:
      stream-app tail flights.predictions
      stream-app tail flights.dead-letters --from-beginning --count 10

    Exit status: 0, also after Ctrl-C; 2 for a topic that is missing; 3 where Kafka does not answer.
    """
    from stream_app.kafka.brokers import open_brokers
    from stream_app.kafka.errors import asked_by_command
    from stream_app.kafka.log_tail import follow

    settings = settings_of_command()
    left = count
    try:
        with asked_by_command(), closing(open_brokers(settings, "stream-app-tail")) as brokers:
            for message in follow(brokers, topic, from_beginning=from_beginning):
                click.echo(f"{_shown(message.key())}\t{_shown(message.value())}")
                for line in _below(message, headers):
                    click.echo(f"    {line}")
                left = None if left is None else left - 1
                if left == 0:
                    return
    except KeyboardInterrupt:
        return


def _below(message: Any, every_header: bool) -> Iterator[str]:
    from stream_app.records.headers import read_headers

    headers = read_headers(message) or []
    if every_header:
        yield from (f"{bounded(name)}: {_header(value)}" for name, value in headers)
    yield from _why(headers)


def _why(headers: Headers) -> Iterator[str]:
    """Why a dead letter is one; nothing for another record."""
    from stream_app.wire.dead_letter import DeadLetter
    from stream_app.wire.headers import by_name

    try:
        letter = DeadLetter.of(by_name(headers))
    except ValueError:
        return
    where = f"{bounded(letter.topic)}[{letter.partition}] offset {letter.offset}"
    yield f"dead letter of {where}: {letter.reason} in {letter.stage}: {letter.message}"


def _header(value: str | bytes | None) -> str:
    return "-" if value is None else bounded(value, sys.maxsize - 1)


def _shown(part: bytes | None) -> str:
    return "-" if part is None else bounded(part, sys.maxsize - 1)
