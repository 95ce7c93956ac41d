"""Words of a person that are written for others to read."""

from __future__ import annotations

import click

from stream_app.text.foreign import bounded

__all__ = ["Words"]


class Words(click.ParamType):
    """A text on one line, without what is no character: a terminal may give any bytes."""

    name = "text"

    def __init__(self, most: int) -> None:
        """`most`: so many characters are kept."""
        self._most = most

    def convert(
        self,
        value: object,
        param: click.Parameter | None,  # noqa: ARG002
        ctx: click.Context | None,  # noqa: ARG002
    ) -> str:
        """Bound it."""
        return bounded(str(value), self._most)
