"""``stream-app check``: everything that a start checks and needs no service for."""

from __future__ import annotations

import click

from stream_app.cli.common import chosen_usecase, usecase_argument
from stream_app.config.settings import Settings

__all__ = ["command"]

_WRONG = 2


@click.command("check", short_help="Check a use case and its models, without any service.")
@usecase_argument
def command(usecase: str | None) -> int:
    """Check a use case and its model versions, without Kafka and Redis, in seconds.

    Looked at are topics and decoders, columns where nothing is known, and of each model version its
    files, its feature declaration, its graph, its golden vectors and events and the answers made of
    them. What is wrong is told on a line of stderr each, with what to do. What of the declaration no
    golden event reaches is named too: a change there would go unnoticed.

    \b
    Example:
      stream-app check features.flights:usecase

    Exit status: 0 where the worker would take its models, else 2.
    """
    from stream_app.features.model_version.folder import read_version
    from stream_app.models.errors import ModelRefusedError
    from stream_app.models.loading import load_version
    from stream_app.models.usecase_faults import usecase_faults
    from stream_app.training.golden_events import unreached

    settings = Settings.load(usecase=usecase)
    chosen = chosen_usecase(settings)
    faults = list(usecase_faults(chosen))
    if not faults:
        columns = len(chosen.features.columns)
        click.echo(f"ok  {chosen.name}: {len(chosen.topics)} topics, {columns} columns")
    for name in chosen.models:
        try:
            model = load_version(settings.artifacts / name, chosen)
        except ModelRefusedError as error:
            faults.append(str(error))
        else:
            taken = len(model.manifest.columns())
            click.echo(f"ok  {settings.artifacts / name}: {model}, {taken} columns")
            for what in unreached(chosen, read_version(settings.artifacts / name).golden_events):
                click.echo(f"    its golden events do not reach {what}")
    for fault in faults:
        click.echo(f"stream-app check: {' '.join(fault.split())}", err=True)
    return _WRONG if faults else 0
