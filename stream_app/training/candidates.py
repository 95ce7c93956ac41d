"""Records of a log that are worth keeping as golden events, gathered while it is replayed.

Kept is what first reached a branch of the declaration, the first of each event type, and some that
ask for a prediction all over the log; each with the records before it that share its entities, so that
a replay of those alone has states to read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from stream_app.features.events import Event
from stream_app.features.log_record import LogRecord
from stream_app.features.views import FeatureSet
from stream_app.training.events import Known
from stream_app.training.reach import Branch

__all__ = ["Candidates", "GoldenLog"]

_RECENT: Final = 4_096
"""Records that are looked through for those that share an entity."""
_BEFORE: Final = 3
"""Records before one that are kept for each entity it names."""
_ASKING: Final = 24
"""At most so many predictions from all over the log are kept for their own sake."""


@dataclass(frozen=True)
class GoldenLog:
    """Records of a log that reach what the whole log reaches, as far as so few can."""

    records: tuple[LogRecord, ...]
    reached: frozenset[Branch]
    """What the whole log reached."""


class Candidates:
    """Gathers them, block by block."""

    def __init__(self, features: FeatureSet) -> None:
        self._features = features
        self._recent: deque[Known] = deque(maxlen=_RECENT)
        self._kept: dict[tuple[Any, ...], LogRecord] = {}
        self._types: set[type[Event]] = set()
        self._asked = 0
        self._next_asking = 1

    def take(self, block: Sequence[Known], first_by: Iterable[Event]) -> None:
        """Take a block in; `first_by`: the events of it that reached something new."""
        wanted = {id(event) for event in first_by}
        for known in block:
            kind = type(known.event)
            if kind in self._features.triggers:
                self._asked += 1
                if self._asked == self._next_asking and self._asked < 2**_ASKING:
                    self._next_asking *= 2
                    wanted.add(id(known.event))
            if kind not in self._types:
                self._types.add(kind)
                wanted.add(id(known.event))
            if id(known.event) in wanted:
                self._keep(known)
            self._recent.append(known)

    def golden(self, reached: Iterable[Branch]) -> GoldenLog:
        """What was gathered, in the order of the log."""
        records = tuple(self._kept[order] for order in sorted(self._kept))
        return GoldenLog(records, frozenset(reached))

    def _keep(self, known: Known) -> None:
        self._kept[known.order] = known.record
        open_ = dict.fromkeys(self._entities(known.event), _BEFORE)
        for before in reversed(self._recent):
            if not open_:
                return
            shared = open_.keys() & self._entities(before.event)
            if shared:
                self._kept[before.order] = before.record
            for each in shared:
                open_[each] -= 1
                if not open_[each]:
                    del open_[each]

    def _entities(self, event: Event) -> set[tuple[str, Any]]:
        """The entities that an event reads or updates, by name and key."""
        asks = isinstance(event, self._features.triggers)
        found = set()
        for view in self._features.views:
            if asks or isinstance(event, tuple(view.on)):
                # A key function that raises ends the replay, not this.
                with suppress(Exception):
                    found.add((view.entity.name, view.entity.key(event)))
        return {each for each in found if each[1] is not None}
