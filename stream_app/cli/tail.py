"""``stream-app tail``: what comes in a topic."""

from __future__ import annotations

import sys
from contextlib import closing

import click

from stream_app.config.settings import Settings
from stream_app.text.foreign import bounded

__all__ = ["command"]


@click.command("tail", short_help="Print the records of a topic as they come.")
@click.argument("topic")
@click.option("--from-beginning", is_flag=True, help="What is in the topic already, too.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N records.")
def command(topic: str, from_beginning: bool, count: int | None) -> None:
    """Print key and value of the records of a topic as they come, a line each, a tab between.

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

    settings = Settings.load()
    settings.check_kafka_properties()
    left = count
    try:
        with asked_by_command(), closing(open_brokers(settings, "stream-app-tail")) as brokers:
            for message in follow(brokers, topic, from_beginning=from_beginning):
                click.echo(f"{_shown(message.key())}\t{_shown(message.value())}")
                left = None if left is None else left - 1
                if left == 0:
                    return
    except KeyboardInterrupt:
        return


def _shown(part: bytes | None) -> str:
    return "-" if part is None else bounded(part, sys.maxsize - 1)
