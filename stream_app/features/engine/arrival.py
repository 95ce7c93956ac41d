"""An event on its way through the engine, with what the engine makes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from stream_app.features.events import Event
from stream_app.features.kinds import Update
from stream_app.text.causes import FeatureError

__all__ = ["NEVER", "Arrival"]

#: Before every time.
NEVER: Final = -math.inf


class Arrival:
    """An event on its way through the engine."""

    __slots__ = (
        "ahead", "digest", "error", "event", "event_time", "keys", "newest", "offset", "rank",
        "redelivered", "row", "source", "updates",
    )  # fmt: skip

    def __init__(self, event: Event, source: int, rank: int, offset: int) -> None:
        self.event = event
        self.event_time = event.event_time
        """In seconds. Asked for once: an attribute of a pydantic model costs several times another one."""
        self.source = source
        """Id of the (topic id, partition) it came from."""
        self.rank = rank
        """Place of its partition in the use case's order, see `stream_app.features.engine.order`."""
        self.offset = offset
        self.keys: Sequence[str | None] = ()
        self.updates: Sequence[Update | None] = ()
        self.row: list[Any] | None = None
        """Values of `FeatureSet.columns` if it is a trigger, else None."""
        self.newest = NEVER
        """Newest event time in the states its row was read from, in seconds."""
        self.ahead = False
        """Whether a state it touches already held this or a later record of its source."""
        self.redelivered = False
        """Whether it may have been applied before: set for records at or below the mark that their
        source had when its partition was assigned. Then the states it reads are looked at too."""
        self.error: FeatureError | None = None
        """Which function of the declaration failed for it; then nothing was read or applied."""
        self.digest = 0
