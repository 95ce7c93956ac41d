"""Records of a log that are worth keeping as golden events, gathered while it is replayed.

Kept is what first reached a branch of the declaration, the first of each event type, the first prediction
that found a state in each view, the first whose row has a column true, false, known or missing, which is what
answers ask of it, and some predictions from all over the log; each with the records
before it that share its entities, so that a replay of those alone has states to read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from stream_app.features.engine.replay import Row
from stream_app.features.events import Event, LogRecord
from stream_app.features.views import FeatureSet
from stream_app.training.events import Known
from stream_app.training.reach import Branch

__all__ = ["Candidates", "GoldenLog"]

_RECENT: Final = 4_096
"""Records that are looked through for those that share an entity."""
_BEFORE: Final = 2
"""Records before one that are kept for each entity it names."""
_ASKING: Final = 4
"""Predictions are kept for their own sake where their number is a power of this: all over the log."""
_ENTITIES: Final = 50_000
"""Entities of a view whose last record is held while no prediction has found a state in it."""


@dataclass(frozen=True)
class GoldenLog:
    """Records of a log that reach what the whole log reaches, as far as so few can."""

    records: tuple[LogRecord, ...]
    reached: frozenset[Branch]
    """What the whole log reached."""


def _is_there(value: Any) -> bool:
    """Whether a column is true, or known: neither None nor NaN, nor an empty text."""
    return bool(value) if isinstance(value, bool | str) else value is not None and value == value


class Candidates:
    """Gathers them, block by block."""

    def __init__(self, features: FeatureSet) -> None:
        self._features = features
        self._recent: deque[Known] = deque(maxlen=_RECENT)
        self._kept: dict[tuple[Any, ...], LogRecord] = {}
        self._types: set[type[Event]] = set()
        self._open: list[set[bool]] = [{False, True} for _ in features.columns]
        """Of each column what no row has been yet: `_is_there` or not."""
        self._asked = 0
        self._next_asking = 1
        # Of each view in which no prediction has found a state: the last record that updated one.
        self._unread: dict[int, dict[Any, Known]] = {at: {} for at in range(len(features.views))}

    def take(self, block: Sequence[Known], first_by: Iterable[Event], rows: Sequence[Row]) -> None:
        """Take a block in; `first_by`: the events of it that reached something new, `rows`: what its
        events that ask for a prediction are answered from."""
        wanted = {id(event) for event in first_by}
        wanted |= {id(row.event) for row in rows if self._is_new(row.values)}
        for known in block:
            if id(known.event) in wanted or self._is_wanted(known):
                self._keep(known)
            for at in list(self._unread):
                self._look_for_state(at, known)
            self._recent.append(known)

    def _is_wanted(self, known: Known) -> bool:
        kind = type(known.event)
        first = kind not in self._types
        self._types.add(kind)
        if kind in self._features.triggers:
            self._asked += 1
            if self._asked == self._next_asking:
                self._next_asking *= _ASKING
                return True
        return first

    def _is_new(self, values: Sequence[Any]) -> bool:
        """Whether a column is true, false, known or missing in a row for the first time."""
        found = [
            (at, is_so)
            for at, open_ in enumerate(self._open)
            if open_ and (is_so := _is_there(values[at])) in open_
        ]
        for at, is_so in found:
            self._open[at].discard(is_so)
        return bool(found)

    def _look_for_state(self, at: int, known: Known) -> None:
        """Keep the first prediction that finds a state in a view, and the record that left it there."""
        view = self._features.views[at]
        key: Any = None
        # A key function that raises ends the replay, not this.
        with suppress(Exception):
            key = view.entity.key(known.event)
        if key is None:
            return
        if isinstance(known.event, self._features.triggers) and key in self._unread[at]:
            before = self._unread.pop(at)[key]
            self._kept[before.order] = before.record
            self._keep(known)
        elif isinstance(known.event, tuple(view.on)) and len(self._unread[at]) < _ENTITIES:
            self._unread[at][key] = known

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
