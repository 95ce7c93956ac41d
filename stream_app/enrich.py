"""Stage enrich: read the state of a batch, then read features and apply updates in its order."""

from __future__ import annotations

from collections.abc import Sequence

from features.engine import FeatureEngine
from features.usecase import TimeBounds
from stream_app.decode import out_of_range
from stream_app.records import Batch, Failure, Item
from stream_app.state import StateStage

__all__ = ["EnrichStage"]


class EnrichStage:
    """Gives each trigger its row of features and keeps the batch's updates for the state stage."""

    def __init__(self, engine: FeatureEngine, state: StateStage, times: TimeBounds) -> None:
        self._engine = engine
        self._state = state
        self._times = times

    def __call__(self, batch: Batch) -> None:
        """Set `row` of each trigger and `batch.writes`; marks records whose features fail."""
        items = [item for item in batch.items if item.failure is None]
        wanted = self._engine.gather(items)
        failed = self._failures(items)
        if failed:
            items = [item for item in items if item.failure is None]
            wanted = self._engine.gather(items)
        tables = self._state.read(wanted)
        self._engine.advance(items, tables, batch.number)
        batch.writes = self._state.stage(wanted, batch.number)

    def _failures(self, items: Sequence[Item]) -> bool:
        failed = False
        for item in items:
            if item.error is not None:
                kind = type(item.error)
                name = f"{kind.__module__}.{kind.__qualname__}"
                message = f"a function of the feature declaration raised {name}"
                item.failure = Failure("enrich", "feature-error", message, disposition="bug")
                failed = True
            elif item.updates:
                low, high = self._times.range_at(item.known_at)
                for update in item.updates:
                    if update is not None and not low <= update[0] <= high:
                        # One believed time of the year 2099 would erase a decayed state.
                        item.failure = out_of_range("a time that updates the state")
                        failed = True
                        break
        return failed
