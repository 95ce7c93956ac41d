"""Why a record fails, as data."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Failure"]


class Failure(NamedTuple):
    """Why a record leaves the path before its end. Failure is data."""

    stage: str
    reason: str
    message: str
    field: str | None = None
    disposition: str = "poison"
    """`poison`: the record's fault; `bug`: ours or the use case's."""
