"""``stream-app dlq ls``: dead letters, the newest first."""

from __future__ import annotations

import json
from typing import Any

import click

from stream_app.cli.common import usecase_argument
from stream_app.cli.dlq.options import as_json_option, filters, office, selection_of
from stream_app.dead_letters.letter import Letter
from stream_app.dead_letters.resolutions import Resolution
from stream_app.dead_letters.selection import first_of
from stream_app.text.foreign import bounded
from stream_app.text.moments import in_utc

__all__ = ["ls"]

_MESSAGE = 60


@click.command("ls", short_help="Letters that are open, the newest first.")
@usecase_argument
@filters
@click.option("--all", "everything", is_flag=True, help="Also those that are dealt with.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    metavar="N",
    help="So many at most.",
)
@as_json_option
def ls(
    usecase: str | None, everything: bool, limit: int, as_json: bool, **chosen: Any
) -> None:  # fmt: skip
    """List dead letters, the newest first: those that nobody has replayed or resolved yet.

    A line each: PARTITION:OFFSET, time, stage and reason, where the record lies, and the message. The
    topic is read from its end backwards, and with a time only where letters of that time are. --json gives
    an object a line.

    \b
    Example:
      stream-app dlq ls features.flights:usecase
      stream-app dlq ls --reason missing-field --since 2026-03-01T08:00:00Z --limit 200
      stream-app dlq ls --all --contains carrier --json

    Exit status: 0, also where there is none; 2 for wrong usage; 3 if Kafka does not answer.
    """
    selection = selection_of(chosen)
    with office(usecase) as opened:
        known = opened.resolutions()
        letters = opened.select(
            selection,
            opened.ranges(selection),
            order="newest",
            of=None if everything else known,
        )
        for letter in first_of(letters, limit):
            resolution = known.of(letter)
            shown = _json(letter, resolution) if as_json else _line(letter, resolution)
            click.echo(shown)


def _line(letter: Letter, resolution: Resolution | None) -> str:
    said = letter.said
    state = resolution.action if resolution is not None else "open"
    return (
        f"{letter.place:<10} {in_utc(letter.written_at)[:19]}Z  {state:<8} {said.stage} "
        f"{bounded(said.reason)}  {bounded(said.topic)}[{said.partition}] {said.offset} "
        f" {bounded(said.message, _MESSAGE)}"
    )


def _json(letter: Letter, resolution: Resolution | None) -> str:
    return json.dumps(
        {
            "letter": letter.place,
            "id": str(letter.id),
            "written_at": letter.written_at,
            **letter.said._asdict(),
            "first_origin": str(letter.first_origin),
            "cut": sorted(letter.cut),
            "resolution": resolution and resolution.model_dump(exclude_none=True),
        }
    )
