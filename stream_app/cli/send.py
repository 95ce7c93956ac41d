"""``stream-app send``: the records of a log, sent to their topics."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

import click

from stream_app.cli.common import settings_of_command

__all__ = ["command"]


@click.command("send", short_help="Send the records of a log to their topics.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--last", type=click.IntRange(1), metavar="N", help="Only the last N records.")
@click.option(
    "--at-once", is_flag=True, help="Do not wait between records: much faster, in no order."
)
def command(file: Path, last: int | None, at_once: bool) -> None:
    """Send the records of a log to the topics that they name, on the brokers of the settings.

    FILE is a log as training reads it: JSON Lines, packed by gzip or xz too, or Parquet. Keys,
    headers and timestamps are kept; the partition is the key's. Records without a timestamp get
    the present time. It ends when the brokers have acknowledged every record.

    Each record is acknowledged before the next is sent: so a worker that runs sees them in their
    order, as it would have seen them when they happened. A thousand take a second or two. With --at-once
    a record may be seen before an earlier one of another partition, and its features may then know of
    what came later (state_freshness_seconds is negative). No worker that starts behind the log, on a
    backlog, sees a difference.

    \b
    Example:
      stream-app send log.jsonl
      stream-app send log.jsonl.gz --last 100

    Exit status: 0; 2 for a log that cannot be read, a topic that is missing or a record that the
    brokers refuse; 3 where Kafka does not answer.
    """
    from stream_app.kafka.errors import asked_by_command
    from stream_app.kafka.log_writer import write_log
    from stream_app.training.log import read_log

    settings = settings_of_command()
    log = read_log(file)
    records = list(log) if last is None else list(deque(log, maxlen=last))
    began = time.monotonic()
    with asked_by_command():
        sent = write_log(settings, records, in_order=not at_once)
    took = time.monotonic() - began
    for topic, count in sorted(sent.items()):
        click.echo(f"{topic}: {count:,} records")
    click.echo(f"{sum(sent.values()):,} records acknowledged in {took:.1f} s", err=True)
