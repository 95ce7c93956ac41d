"""``stream-app dlq``: the dead letters of an application. Each command is a file."""

from __future__ import annotations

import click

from stream_app.cli.dlq.export import export
from stream_app.cli.dlq.import_ import import_
from stream_app.cli.dlq.ls import ls
from stream_app.cli.dlq.replay import replay
from stream_app.cli.dlq.resolve import resolve
from stream_app.cli.dlq.show import show
from stream_app.cli.dlq.stats import stats

__all__ = ["command"]


@click.group("dlq", short_help="Dead letters: see why, mend, replay.")
def command() -> None:
    """See why records became dead letters, mend them, and send them once more, once.

    \b
    Example:
      stream-app dlq stats features.flights:usecase
      stream-app dlq ls --reason missing-field --newer-than 2h
      stream-app dlq show 0:41
      stream-app dlq replay --reason missing-field --with fixes:add_carrier
      stream-app dlq replay --reason missing-field --with fixes:add_carrier --yes

    Exit status of each: 0 when done; 1 when a letter that was asked for is left where it is, for a
    reason that is told, or somebody else took over; 2 for a mistake of the caller; 3 where Kafka
    does not answer.
    """


for each in (stats, ls, show, replay, export, import_, resolve):
    command.add_command(each)
