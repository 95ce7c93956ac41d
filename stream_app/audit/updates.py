"""Which states an event updates and with what, read off the declaration.

On purpose not by the feature engine: an account that is kept by the code it checks proves little.
Only the arithmetic of a state is shared (`stream_app.features.kinds`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from stream_app.features.events import Event
from stream_app.features.kinds import Update
from stream_app.features.usecase import TimeBounds
from stream_app.features.views import FeatureSet

__all__ = ["StateUpdate", "Updates"]


class StateUpdate(NamedTuple):
    """One update of one state."""

    view: int
    entity: str
    update: Update


class Updates:
    """Evaluates a declaration for events."""

    def __init__(self, features: FeatureSet, times: TimeBounds) -> None:
        self._features = features
        self._times = times

    def __call__(self, event: Event, known_at: float) -> Sequence[StateUpdate]:
        """The updates of an event; none where it fails after it was decoded.

        `known_at`: the clock that its times are held against, in seconds since the epoch.
        """
        low, high = self._times.range_at(known_at)
        found = []
        # Whatever is in the declaration may raise, and may give what is no text or no time.
        try:
            for view, entity, update in self._evaluate(event):
                if update is None:
                    continue
                if not low <= update[0] <= high:
                    return ()
                if entity is not None:
                    entity.encode()  # a lone surrogate names no state
                    found.append(StateUpdate(view, entity, update))
        except Exception:  # noqa: BLE001
            return ()
        return found

    def _evaluate(self, event: Event) -> list[tuple[int, str | None, Update | None]]:
        features = self._features
        asks = type(event) in features.triggers
        evaluated = []
        for position, view in enumerate(features.views):
            update = _first(view.on, event)
            if update is None and not asks:
                continue
            key = view.entity.key(event)
            entity: Any = str(key) if type(key) is int else key
            if update is not None:
                value = update(event)
                view.state.check([value])
                evaluated.append((position, entity, value))
        if asks:
            # Not needed here, but a record whose row cannot be computed updates nothing.
            for feature in features.row_features:
                feature.compute(event)
        return evaluated


def _first(on: Any, event: Event) -> Callable[[Any], Update | None] | None:
    return next((update for kind, update in on.items() if isinstance(event, kind)), None)
