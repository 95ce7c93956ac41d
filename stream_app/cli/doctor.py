"""``stream-app doctor``: a deployment is looked at."""

from __future__ import annotations

import json

import click

from stream_app.cli.common import chosen_usecase, leave_it_to_sentences, usecase_argument
from stream_app.config.settings import Settings

__all__ = ["command"]

_FAILED = 1


@click.command("doctor", short_help="Check a deployment: brokers, topics, Redis, models.")
@usecase_argument
@click.option("--json", "as_json", is_flag=True, help="A JSON object a finding, on a line.")
@click.option("--strict", is_flag=True, help="A warning counts as an error.")
def command(usecase: str | None, as_json: bool, strict: bool) -> int:
    """Look at everything that a worker with these settings needs, before it runs or beside it: settings,
    models, brokers, rights, topics, clocks, where the group stands, and Redis. Nothing is written, and no
    group is joined.

    A finding is a line, and says what to do. Not seen is a broker's clock that is behind: brokers do not
    tell the time.

    \b
    Example:
      stream-app doctor features.flights:usecase

    Exit status: 0 where a worker can run; 1 where an error was found; 2 for wrong settings.
    """
    from stream_app.doctor.examine import examine
    from stream_app.doctor.finding import Level

    settings = Settings.load(usecase=usecase)
    leave_it_to_sentences(settings)
    bad = {Level.ERROR, Level.WARNING} if strict else {Level.ERROR}
    status = 0
    for finding in examine(settings, chosen_usecase(settings)):
        if finding.level in bad:
            status = _FAILED
        if as_json:
            told = {"level": finding.level.value, "about": finding.about, "text": finding.text}
            click.echo(json.dumps(told))
        else:
            click.echo(f"{finding.level.value:<7}  {finding.about}: {finding.text}")
    return status
