"""``stream-app contract``: what a use case's neighbours must know, and what a change does to them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from stream_app.cli.common import chosen_usecase, usecase_argument
from stream_app.config.settings import Settings

__all__ = ["command"]

_BREAKS = 1


@click.group("contract", short_help="Tell the neighbours what goes in and comes out.")
def command() -> None:
    """What producers of events and readers of predictions must know of a use case.

    No service is needed: everything is in the use case.
    """


@command.command("schema", short_help="A JSON Schema of each topic.")
@usecase_argument
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a file a topic, TOPIC.schema.json, instead of one object to the terminal.",
)
def schema(usecase: str | None, directory: Path | None) -> None:
    """The JSON Schema of the values of each topic; under x-kafka: key, headers and timestamp.

    \b
    Example:
      stream-app contract schema features.flights:usecase --directory docs/contracts
    """
    from stream_app.contract.topics import by_name, topic_contracts

    contracts = by_name(topic_contracts(chosen_usecase(Settings.load(usecase=usecase))))
    if directory is None:
        click.echo(_text(contracts), nl=False)
        return
    directory.mkdir(parents=True, exist_ok=True)
    for name, contract in contracts.items():
        (directory / f"{name}.schema.json").write_text(_text(contract), encoding="utf-8")


@command.command("asyncapi", short_help="The AsyncAPI 3 document.")
@usecase_argument
@click.option("--version", default="1.0.0", show_default=True, help="Of the document, in its info.")
def asyncapi(usecase: str | None, version: str) -> None:
    """The AsyncAPI 3.0 document: channels, messages, headers, keys and operations.

    \b
    Example:
      stream-app contract asyncapi features.flights:usecase > flights.asyncapi.json
    """
    from stream_app.contract.asyncapi import asyncapi_document
    from stream_app.contract.topics import topic_contracts

    settings = Settings.load(usecase=usecase)
    chosen = chosen_usecase(settings)
    document = asyncapi_document(
        topic_contracts(chosen),
        title=chosen.name,
        version=version,
        group=settings.application or chosen.name,
    )
    click.echo(_text(document), nl=False)


@command.command("diff", short_help="What a change breaks, for whom.")
@click.argument("old", type=click.Path(exists=True, path_type=Path))
@usecase_argument
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def diff(old: Path, usecase: str | None, as_json: bool) -> None:
    """Compare the use case with OLD, which `contract asyncapi` or `contract schema` wrote.

    OLD may also be the schema of one topic, which is compared with that topic alone, or a folder of
    schemas.

    An event that was taken and is refused now breaks its producers; a value that was not promised
    before breaks those who read it. A new field breaks nobody unless an event must have it.

    \b
    Example:
      stream-app contract diff flights.asyncapi.json features.flights:usecase

    Exit status: 0 when nothing breaks, 1 when something does, 2 for wrong usage.
    """
    from stream_app.contract.comparison import changes
    from stream_app.contract.topics import topic_contracts
    from stream_app.contract.written import read_contracts

    before = read_contracts(old)
    after = topic_contracts(chosen_usecase(Settings.load(usecase=usecase)))
    found = changes(before, after)
    breaks = any(change.breaks for change in found)
    if as_json:
        told = [{"topic": c.topic, "breaks": c.breaks, "what": c.what} for c in found]
        click.echo(json.dumps({"breaks": breaks, "changes": told}))
    else:
        for change in found:
            whom = f"breaks {change.breaks}" if change.breaks else "breaks nobody"
            click.echo(f"{change.topic}: {change.what} ({whom})")
        if not found:
            click.echo("Nothing has changed.")
    sys.exit(_BREAKS if breaks else 0)


def _text(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
