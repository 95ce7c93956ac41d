"""What several commands share."""

from __future__ import annotations

from typing import Any

import click

from features.usecase import UseCase
from stream_app.loading import load_usecase
from stream_app.settings import Settings, SettingsError

__all__ = ["chosen_usecase", "usecase_argument"]


def usecase_argument(function: Any) -> Any:
    """Give a command the optional argument MODULE:OBJECT."""
    return click.argument("usecase", metavar="[MODULE:OBJECT]", required=False)(function)


def chosen_usecase(settings: Settings) -> UseCase:
    """Import the use case that the command line or a setting names; raises `SettingsError`."""
    if settings.usecase is None:
        raise SettingsError(
            "usecase: no use case is named. Name it as an argument, in stream_app.toml or by "
            "STREAM_APP_USECASE. Example: features.flights:usecase"
        )
    return load_usecase(settings.usecase)
