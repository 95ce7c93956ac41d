"""When a store may forget a state that nobody can read any more."""

from __future__ import annotations

import math
from collections.abc import Sequence

from features.views import View

__all__ = ["expiry_seconds"]


def expiry_seconds(views: Sequence[View], retention_seconds: float | None) -> dict[str, int]:
    """For each view that may be forgotten, by name: how long after its last update.

    A state is read as absent once it is older than its view's `ttl_seconds`; but it also knows which
    records it holds, and has to for as long as they may be read again. So it outlives both, one
    after the other. `retention_seconds` is how long a record may stay in any of the topics; None:
    for ever, and then nothing is forgotten. A view without a ttl never is.
    """
    if retention_seconds is None:
        return {}
    return {
        view.name: math.ceil(view.ttl_seconds + retention_seconds)
        for view in views
        if view.ttl_seconds is not None
    }
