"""What several commands share."""

from __future__ import annotations

from typing import Any

import click

from stream_app.config.usecase import chosen_usecase

__all__ = ["chosen_usecase", "usecase_argument"]


def usecase_argument(function: Any) -> Any:
    """Give a command the optional argument MODULE:OBJECT."""
    return click.argument("usecase", metavar="[MODULE:OBJECT]", required=False)(function)
