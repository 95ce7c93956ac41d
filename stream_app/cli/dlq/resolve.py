"""``stream-app dlq resolve``: letters that are dealt with."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from stream_app.cli.common import usecase_argument
from stream_app.cli.dlq.options import (
    as_json_option,
    by_option,
    filters,
    letters,
    limit_option,
    note_option,
    office,
    selection_of,
)
from stream_app.dead_letters.resolving import resolve as resolve_letters
from stream_app.dead_letters.selection import ABSENT

__all__ = ["resolve"]

_LEFT = 1


@click.command("resolve", short_help="Mark letters as dealt with: `ls` shows them no more.")
@usecase_argument
@filters
@click.option(
    "--everything", is_flag=True, help="Every open letter; needed where no filter is given."
)
@limit_option
@by_option("Who says so")
@note_option
@click.option("--yes", "does_it", is_flag=True, help="Do it. Without it nothing is written.")
@as_json_option
def resolve(
    usecase: str | None,
    everything: bool,
    limit: int | None,
    by: str,
    note: str,
    does_it: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Mark open letters as dealt with, the oldest first. They are not replayed any more.

    \b
    Example:
      stream-app dlq resolve --reason empty-value --note "the producer sent keep-alives" --yes

    Exit status: 0 when done; 1 where a --letter is none, or somebody else took over; 2 for wrong usage; 3
    if Kafka does not answer.
    """
    selection = selection_of(chosen)
    if selection.is_everything and not everything:
        raise click.UsageError(
            "no filter is given, so every open letter would be marked: say --everything if that is "
            "meant."
        )
    with office(usecase) as opened:
        count, found_none = resolve_letters(
            opened, selection, does_it=does_it, by=by, note=note, limit=limit
        )
    absent = [f"{partition}:{offset}" for partition, offset in found_none]
    if as_json:
        done = {"done": does_it, "resolved" if does_it else "would_be_resolved": count}
        click.echo(json.dumps(done | {"absent": absent}))
    else:
        click.echo(f"{letters(count)} {'' if does_it else 'would be '}marked as resolved")
        for place in absent:
            click.echo(f"{place} is {ABSENT}")
        if not does_it:
            click.echo("Nothing was written. --yes does it.")
    sys.exit(_LEFT if absent else 0)
