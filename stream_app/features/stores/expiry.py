"""When a store may forget a state that nobody can read any more."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stream_app.features.views import View

__all__ = ["expiry_seconds"]


def expiry_seconds(
    views: Sequence[View], retention_seconds: float | None, late_seconds: float
) -> dict[str, int]:
    """For each view that may be forgotten, by name: how long after its last update.

    A state is read as absent once an event is later than its newest by more than the view's
    `ttl_seconds`. It has to be there for any event that is not: one that was late by as much as is
    believed, in a record that is read when it has lain in the log for as long as records may. So
    it outlives all of these, one after the other; then a late event finds online what it finds
    offline, and a state knows its records for as long as they may be read again.

    `retention_seconds` is how long a record may stay in any of the topics; None: for ever, and then
    nothing is forgotten. `late_seconds`: how far apart the event times of two records of one moment
    may be. A view without a ttl is never forgotten.
    """
    if retention_seconds is None:
        return {}
    return {
        view.name: math.ceil(view.ttl_seconds + retention_seconds + late_seconds)
        for view in views
        if view.ttl_seconds is not None
    }
