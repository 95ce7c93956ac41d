"""``stream-app state``: what can be done to an application's state."""

from __future__ import annotations

import sys

import click

from stream_app.cli.bar import Bar
from stream_app.cli.common import chosen_usecase, settings_of_command, usecase_argument
from stream_app.cli.times import Time
from stream_app.errors import FatalError
from stream_app.telemetry.logs import name_application

__all__ = ["command"]


@click.group("state", short_help="Rebuild the state from the log.")
def command() -> None:
    """What can be done to an application's state."""


@command.command("rebuild", short_help="Build the state anew from the log, and switch over.")
@usecase_argument
@click.option("--since", type=Time(), metavar="TIME", help="From records of this time on.")
def rebuild(usecase: str | None, since: float | None) -> None:
    """Build the state anew from the event topics, beside the one that serves, and switch over.

    Workers may go on meanwhile: they serve from the present state, turn to the new one when it is
    complete, and apply what is between by themselves. Two rebuildings at once would undo each
    other. With --since, the state knows nothing of what was before: give it the longest
    `ttl_seconds` of the views, or their half-lives times ten.

    \b
    Example:
      stream-app state rebuild features.flights:usecase
      stream-app state rebuild --since 2026-03-01T00:00:00Z

    Exit status: 0 when the new state serves, 1 when it could not be built, 2 for wrong usage, 3 if
    Kafka or Redis does not answer.
    """
    from stream_app.worker.state_rebuild import rebuild_state

    settings = settings_of_command(usecase)
    chosen = chosen_usecase(settings)
    name_application(settings.application or chosen.name)
    try:
        with Bar() as bar:
            done = rebuild_state(
                settings,
                chosen,
                since=since,
                progress=lambda read, total: bar("rebuild", read, total),
            )
    except FatalError as error:
        click.echo(f"stream-app state rebuild: {error}", err=True)
        sys.exit(1)
    click.echo(
        f"{done.application}: generation {done.generation} of the state serves, built from "
        f"{done.offsets:,} offsets of {done.partitions} partitions"
    )
    for partition, start in done.gone.items():
        click.echo(
            f"gone by retention: {partition} begins at offset {start}; what was before is not in it"
        )
