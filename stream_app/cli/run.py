"""``stream-app run``: the worker."""

from __future__ import annotations

import click

from stream_app.cli.common import chosen_usecase, usecase_argument
from stream_app.config.settings import Settings
from stream_app.telemetry.logs import configure_logging
from stream_app.worker.faust_environment import hidden_from_faust
from stream_app.worker.supervised import Supervised

__all__ = ["command"]

_FAILED = 1


@click.command("run", short_help="Run the worker.")
@usecase_argument
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=None,
    help="Run so many, each a process that is started again when it ends.",
)
@click.option("--supervised", type=int, default=None, hidden=True)  # by `supervisor/child.py`
def command(usecase: str | None, workers: int | None, supervised: int | None) -> int:
    """Run the worker until it is told to stop (SIGTERM or Ctrl-C).

    It finishes what is in flight, commits and leaves its group. Settings come from environment
    variables and stream_app.toml; `stream-app config` shows them.

    \b
    Example:
      STREAM_APP_BOOTSTRAP_SERVERS=broker:9092 STREAM_APP_REDIS_URL=redis://cache:6379/0 \\
        stream-app run features.flights:usecase
      stream-app run --workers 4 features.flights:usecase

    Exit status: 0 after a stop that was asked for, 1 when the worker could not go on or has to be
    started again (a certificate was renewed), or the doctor that looked first found an error, 2 for a
    wrong setting or a model that was refused.
    """
    line = None if supervised is None else Supervised(supervised)
    settings = Settings.load(usecase=usecase)
    settings.check_kafka_properties()
    configure_logging(settings.log_level, settings.log_format, settings.secrets())
    if settings.doctor and supervised is None:
        from stream_app.doctor.before_start import may_start

        if not may_start(settings, chosen_usecase(settings)):
            return _FAILED
    if workers is None:
        chosen = chosen_usecase(settings)
        with hidden_from_faust():
            from stream_app.worker.app import run
        run(settings, chosen, line)
    from stream_app.supervisor.assembly import supervise

    return supervise(settings, workers, [] if usecase is None else [usecase])
