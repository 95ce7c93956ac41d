"""What several commands share."""

from __future__ import annotations

import logging
from typing import Any

import click

from stream_app.config.settings import Settings
from stream_app.config.usecase import chosen_usecase

__all__ = ["chosen_usecase", "leave_it_to_sentences", "settings_of_command", "usecase_argument"]


def usecase_argument(function: Any) -> Any:
    """Give a command the optional argument MODULE:OBJECT."""
    return click.argument("usecase", metavar="[MODULE:OBJECT]", required=False)(function)


def settings_of_command(usecase: str | None = None) -> Settings:
    """The settings of a command that asks Kafka, checked; what the client library logs is shown no more.

    Raises `ConfigurationError`.
    """
    settings = Settings.load(usecase=usecase)
    settings.check_kafka_properties()
    leave_it_to_sentences(settings)
    return settings


def leave_it_to_sentences(settings: Settings) -> None:
    """Show none of librdkafka's own lines: what matters of them ends the command as a sentence.

    The rest passes by itself, such as a coordinator that is still loading when the first record is
    sent, and would make whoever typed the command look for a mistake.
    """
    from stream_app.telemetry.logs import configure_logging

    configure_logging("WARNING", settings.log_format, settings.secrets())
    logging.getLogger("librdkafka").setLevel(logging.CRITICAL)
