"""``stream-app local``: a real Kafka and a real Redis in the foreground."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import time

import click

from stream_app.cli.common import chosen_usecase, usecase_argument
from stream_app.config.settings import Settings
from stream_app.features.usecase import UseCase
from stream_app.local import LocalServiceError, LocalServices

__all__ = ["command", "topics_of"]

_LOOK_SECONDS = 1.0


def topics_of(usecase: UseCase, settings: Settings) -> dict[str, int]:
    """Return every topic that the worker reads or writes, with its number of partitions."""
    topics = {topic.name: topic.partitions for topic in usecase.topics}
    topics[usecase.predictions_topic] = usecase.output_partitions
    topics[usecase.dead_letters_topic] = usecase.output_partitions
    if settings.feature_log_topic:
        topics[settings.feature_log_topic] = usecase.output_partitions
    return topics


@click.command("local", short_help="Run a real Kafka and a real Redis on this machine.")
@usecase_argument
@click.option("--json", "as_json", is_flag=True, help='One JSON object: {"kafka", "redis"}.')
@click.option("--kafka-port", type=click.IntRange(1, 65_535), help="Default: any free port.")
@click.option("--redis-port", type=click.IntRange(1, 65_535), help="Default: any free port.")
def command(
    usecase: str | None, as_json: bool, kafka_port: int | None, redis_port: int | None
) -> None:
    """Run a real Kafka and a real Redis on this machine, with the topics of the use case.

    Once both answer, their addresses are printed as variables that `stream-app run` understands.
    They run until Ctrl-C or SIGTERM; then their data are removed. Needs the extra `local`.

    \b
    Example:
      stream-app local features.flights:usecase
      # in a second terminal, after the two printed export lines:
      stream-app run features.flights:usecase
    """
    settings = Settings.load(usecase=usecase)
    topics = topics_of(chosen_usecase(settings), settings)
    # As Ctrl-C does: it interrupts a start as well, and every service is ended on the way out. Set for
    # SIGINT too, which a shell has its background jobs ignore.
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        click.echo("Kafka and Redis are starting ...", err=True)
        with LocalServices(topics, kafka_port=kafka_port, redis_port=redis_port) as services:
            _announce(services, as_json)
            _watch(services)
    except KeyboardInterrupt:
        click.echo("Stopped; their data are removed.", err=True)
    except LocalServiceError as error:
        raise click.ClickException(str(error)) from None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _announce(services: LocalServices, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"kafka": services.kafka, "redis": services.redis}))
    else:
        click.echo(f"export STREAM_APP_BOOTSTRAP_SERVERS={shlex.quote(services.kafka)}")
        click.echo(f"export STREAM_APP_REDIS_URL={shlex.quote(services.redis)}")
    sys.stdout.flush()  # whoever reads a pipe waits for this
    click.echo("Both answer. Ctrl-C stops them.", err=True)


def _watch(services: LocalServices) -> None:
    """Stay until interrupted; raises `LocalServiceError` when a service ends on its own."""
    while True:
        time.sleep(_LOOK_SECONDS)
        for service in (services.local_kafka, services.local_redis):
            if service is not None and not service.is_running:
                raise LocalServiceError(f"{service.name} ended on its own: {service.log_tail(3)}")
