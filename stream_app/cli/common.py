"""What several commands share."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import click

from stream_app.config.usecase import chosen_usecase

if TYPE_CHECKING:
    from stream_app.config.settings import Settings

__all__ = ["chosen_usecase", "leave_it_to_sentences", "usecase_argument"]


def usecase_argument(function: Any) -> Any:
    """Give a command the optional argument MODULE:OBJECT."""
    return click.argument("usecase", metavar="[MODULE:OBJECT]", required=False)(function)


def leave_it_to_sentences(settings: Settings) -> None:
    """Show none of librdkafka's own lines: what matters of them ends the command as a sentence.

    The rest passes by itself, such as a coordinator that is still loading when the first record is
    sent, and would make whoever typed the command look for a mistake.
    """
    from stream_app.telemetry.logs import configure_logging

    configure_logging("WARNING", settings.log_format, settings.secrets())
    logging.getLogger("librdkafka").setLevel(logging.CRITICAL)
