"""``stream-app config``: the settings in effect."""

from __future__ import annotations

import json

import click

from stream_app.cli.common import usecase_argument
from stream_app.config.settings import Settings

__all__ = ["command"]


@click.command("config", short_help="Show the settings in effect and where they come from.")
@usecase_argument
@click.option("--json", "as_json", is_flag=True, help="One JSON object: name to value and source.")
def command(usecase: str | None, as_json: bool) -> None:
    """Show each setting in effect and where it came from; secrets are masked.

    A wrong setting is reported as `stream-app run` would, with exit status 2.

    \b
    Example:
      stream-app config
      STREAM_APP_KAFKA__SASL_PASSWORD=... stream-app config features.flights:usecase --json
    """
    settings = Settings.load(usecase=usecase)
    settings.check_kafka_properties()
    rows = settings.explain()
    if as_json:
        click.echo(json.dumps({r.name: {"value": r.value, "source": r.source} for r in rows}))
        return
    names = max(len(row.name) for row in rows)
    values = min(40, max(len(row.value) for row in rows))
    for row in rows:
        click.echo(f"{row.name:<{names}}  {row.value or '-':<{values}}  {row.source}")
