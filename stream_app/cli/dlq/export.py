"""``stream-app dlq export``: letters as JSON Lines, for mending by hand."""

from __future__ import annotations

import sys
from typing import IO, Any

import click

from stream_app.cli.common import usecase_argument
from stream_app.cli.dlq.options import filters, letters, limit_option, office, selection_of
from stream_app.dead_letters.json_lines import as_line
from stream_app.dead_letters.origins import OriginGoneError, Origins
from stream_app.dead_letters.selection import first_of

__all__ = ["export"]

_CUT = 1


@click.command("export", short_help="Letters as JSON Lines, for mending by hand.")
@usecase_argument
@filters
@click.option("--all", "everything", is_flag=True, help="Also those that are dealt with.")
@limit_option
@click.option(
    "--output", type=click.File("w", encoding="utf-8"), default="-", metavar="FILE",
    help="Default: the terminal.",
)  # fmt: skip
def export(
    usecase: str | None, everything: bool, limit: int | None, output: IO[str], **chosen: Any
) -> None:
    """Write open letters as JSON Lines, the oldest first: payload, key, headers, and why it failed.

    Payloads are text where they are UTF-8, else base64 under value_base64; `stream-app dlq import` gives
    the very bytes back. What a letter left out is taken from the event topic while that holds it, but for
    the fields that `redact_fields` names: "[redacted 1]" and so on stand for them, and import puts back
    what they stand for.

    \b
    Example:
      stream-app dlq export --reason missing-field --output letters.jsonl

    Exit status: 0 when done; 1 if some letters are cut and could not be completed: they name it under
    "cut" and are told on stderr; 2 for wrong usage; 3 if Kafka does not answer.
    """
    selection = selection_of(chosen)
    count = cut = 0
    with office(usecase) as opened:
        of = None if everything else opened.resolutions()
        origins = Origins(opened.brokers, opened.usecase, opened.replays)
        redaction = opened.redaction
        for letter in first_of(
            opened.select(
                selection, opened.ranges(selection), order="oldest", of=of, what="export"
            ),
            limit,
        ):
            whole = letter
            try:
                whole = origins.completed(letter)
            except OriginGoneError as gone:
                cut += 1
                click.echo(f"stream-app dlq export: {letter.place}: {gone}", err=True)
            output.write(f"{as_line(whole.shown(redaction, numbered=True))}\n")
            count += 1
        origins.close()
    click.echo(letters(count), err=True)
    sys.exit(_CUT if cut else 0)
