"""``stream-app dlq import``: letters that were mended by hand, replayed."""

from __future__ import annotations

from typing import IO

import click

from stream_app.cli.common import usecase_argument
from stream_app.cli.dlq.options import as_json_option, office
from stream_app.cli.dlq.replay import check_secret, show_report, the_rest
from stream_app.dead_letters.json_lines import read_lines
from stream_app.dead_letters.selection import Selection
from stream_app.errors import ConfigurationError

__all__ = ["import_"]


@click.command("import", short_help="Replay letters that were mended by hand.")
@click.argument("file", type=click.File("rb"))
@usecase_argument
@the_rest
@as_json_option
def import_(
    file: IO[bytes],
    usecase: str | None,
    target: tuple[str, int | None] | None,
    rate: float | None,
    max_attempts: int,
    untried: bool,
    by: str,
    note: str,
    does_it: bool,
    as_json: bool,
) -> None:
    """Replay the letters of a file that `stream-app dlq export` wrote, with the payloads it has now.

    Of each line only the payload counts: whose record it is, key and headers are the letter's own. What
    was replaced by `redact_fields` is put back from the event topic. All else is as with `stream-app dlq replay`: without --yes nothing is sent, and nothing goes twice.

    \b
    Example:
      stream-app dlq import letters.jsonl
      stream-app dlq import letters.jsonl --yes --note "carrier added by hand"

    Exit status: as that of `stream-app dlq replay`.
    """
    from stream_app.cli.dlq.isolated import isolated_attempt
    from stream_app.dead_letters.replaying import ReplayOptions, replay

    mended = read_lines(file)
    if not mended:
        raise ConfigurationError(f"{file.name}: there is no letter in it")
    with office(usecase) as opened, isolated_attempt(opened.settings) as attempt:
        check_secret(opened)
        strangers = [name for name in mended if name.topic_id != opened.log.topic.topic_id]
        if strangers:
            raise ConfigurationError(
                f"{file.name}: the letter {strangers[0]} is of another topic than {opened.topic}"
            )
        report = replay(
            opened,
            Selection(places=frozenset((name.partition, name.offset) for name in mended)),
            ReplayOptions(
                does_it=does_it,
                is_tried=not untried,
                open_only=False,
                rate=rate,
                max_attempts=max_attempts,
                target=target,
                attempt=attempt,
                mended=lambda letter: mended[letter.id].whole(letter.value),
                by=by,
                note=note,
            ),
        )
    show_report(report, as_json=as_json)
