"""``stream-app dlq show``: one dead letter, and what happened to its event."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import click

from stream_app.cli.common import usecase_argument
from stream_app.cli.dlq.options import Place, as_json_option, office
from stream_app.dead_letters.history import History, history
from stream_app.dead_letters.letter import Letter
from stream_app.dead_letters.origins import OriginGoneError, Origins
from stream_app.dead_letters.payload import shown_payload
from stream_app.errors import ConfigurationError
from stream_app.text.foreign import bounded
from stream_app.text.moments import in_utc
from stream_app.text.redaction import is_everything

__all__ = ["show"]


@click.command("show", short_help="One letter: payload, headers, history.")
@click.argument("letter", type=Place(), metavar="PARTITION:OFFSET")
@usecase_argument
@as_json_option
def show(letter: tuple[int, int], usecase: str | None, as_json: bool) -> None:
    """Show why a record failed, its payload with the field that was wrong marked, and its history.

    What the letter left out for its size is taken from the event topic while that holds it. Fields that
    `redact_fields` names are not shown, wherever they are: "redacted" names them.

    \b
    Example:
      stream-app dlq show 0:41 features.flights:usecase
      stream-app dlq show 0:41 --json

    Exit status: 0; 2 where there is no such letter; 3 if Kafka does not answer.
    """
    with office(usecase) as opened:
        found = opened.log.at(*letter)
        if found is None:
            raise ConfigurationError(
                f"{opened.topic} holds no dead letter of {opened.application} at "
                f"{letter[0]}:{letter[1]}"
            )
        origins = Origins(opened.brokers, opened.usecase, opened.replays)
        cut = ""
        try:
            whole = origins.completed(found)
            if left_out := found.left_out_parts:
                cut = f"the letter left out {' and '.join(sorted(left_out))}; taken from the event topic"
        except OriginGoneError as gone:
            whole, cut = found, str(gone)
        finally:
            origins.close()
        told = history(opened, whole, opened.resolutions())
        shown = whole.shown(opened.redaction)
        redacted = _redacted(found, shown, has_origin=not whole.cut)
    if as_json:
        click.echo(json.dumps(_json(shown, told, cut, redacted)))
        return
    for line in _lines(shown, told, cut, redacted):
        click.echo(line)


def _redacted(found: Letter, shown: Letter, *, has_origin: bool) -> str:
    """What of a value is not shown, and who still has it; empty where all of it is shown."""
    if not shown.said.redacted:
        return ""
    what = "all of the value" if is_everything(shown.said.redacted) else shown.said.redacted
    if not found.said.redacted:
        return f"{what}; only here: the letter itself was written before redact_fields named it"
    holder = "the event topic still holds the record" if has_origin else "the record is gone"
    return f"{what}; {holder}"


def _lines(letter: Letter, told: History, cut: str, redacted: str) -> Iterator[str]:
    said = letter.said
    yield f"letter      {letter.place}, written {in_utc(letter.written_at)}"
    yield f"record      {bounded(said.topic)}[{said.partition}] {said.offset}, of {said.timestamp}"
    yield f"failed      {bounded(said.stage)} {bounded(said.reason)} ({bounded(said.disposition)})"
    yield f"why         {bounded(said.message, 500)}"
    if said.field:
        yield f"field       {bounded(said.field)}"
    yield f"attempts    {said.attempts}"
    yield f"state       {'applied' if letter.is_applied else 'not applied'}"
    yield f"worker      {bounded(said.code_version)}, {bounded(said.model_version)}"
    yield ""
    yield from _history(letter, told)
    yield ""
    yield f"key         {'-' if letter.key is None else bounded(letter.key)}"
    for name, value in letter.came_with:
        yield f"header      {bounded(name)}: {'-' if value is None else bounded(value)}"
    if cut:
        yield f"cut         {cut}"
    if redacted:
        yield f"redacted    {bounded(redacted, 500)}"
    if letter.value is not None or "value" not in letter.cut:
        yield "value"
        mark = bounded(f"{said.reason}: {said.field}")
        for line in shown_payload(letter.value, said.field, mark):
            yield f"  {line}"


def _history(letter: Letter, told: History) -> Iterator[str]:
    yield f"event       {letter.first_origin}"
    for name, each in told.chain:
        to = f" to {bounded(each.topic)}[{each.partition}]" if each.topic else ""
        note = f": {bounded(each.note)}" if each.note else ""
        yield (
            f"{in_utc(each.at)[:19]}Z  {name.partition}:{name.offset} {each.action}{to} by "
            f"{bounded(each.by) or '(not said)'}{note}"
        )
    for later in told.later:
        yield (
            f"{in_utc(later.written_at)[:19]}Z  {later.place} failed again: "
            f"{bounded(later.said.stage)} {bounded(later.said.reason)}, attempt {later.said.attempts}"
        )
    state = "open" if told.resolution is None else told.resolution.action
    yield f"now         {state}; {'it has a prediction' if told.is_predicted else 'no prediction'}"


def _json(letter: Letter, told: History, cut: str, redacted: str) -> dict[str, Any]:
    return {
        "letter": letter.place,
        "id": str(letter.id),
        "written_at": letter.written_at,
        **letter.said._asdict(),
        "first_origin": str(letter.first_origin),
        "is_applied": letter.is_applied,
        "cut": cut or None,
        "redaction": redacted or None,
        "key": None if letter.key is None else bounded(letter.key),
        "headers": [
            [name, None if value is None else bounded(value)] for name, value in letter.came_with
        ],
        "value_base64": None if letter.value is None else b64encode(letter.value).decode(),
        "resolution": told.resolution and told.resolution.model_dump(exclude_none=True),
        "history": [
            {"letter": f"{name.partition}:{name.offset}", **each.model_dump(exclude_none=True)}
            for name, each in told.chain
        ],
        "failed_again": [later.place for later in told.later],
        "is_predicted": told.is_predicted,
    }
