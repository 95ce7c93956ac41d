"""Times as people write them on the command line."""

from __future__ import annotations

import click
from pydantic import TypeAdapter, ValidationError

from stream_app.features.events import Moment

__all__ = ["Time"]


class Time(click.ParamType):
    """A time as RFC 3339 with an offset; seconds since the epoch in Python."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read it."""
        try:
            return float(TypeAdapter[float](Moment).validate_python(value))
        except (ValidationError, IndexError):
            self.fail("expected a time such as 2026-03-01T08:00:00Z", param, ctx)
