"""Stage enrich: read the state of a batch, then read features and apply updates in its order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from features.engine import FeatureEngine
from features.usecase import TimeBounds
from stream_app.decode import out_of_range
from stream_app.records import Batch, Failure, Item, Partition
from stream_app.state import StateStage

__all__ = ["REBUILDING", "EnrichStage"]

#: Why a fallback serves while the state is being rebuilt.
REBUILDING = "state_rebuilding"


class EnrichStage:
    """Gives each trigger its row of features and keeps the batch's updates for the state stage."""

    def __init__(
        self,
        engine: FeatureEngine,
        state: StateStage,
        times: TimeBounds,
        rebuilding: Collection[Partition] = frozenset(),
    ) -> None:
        """Records of partitions in `rebuilding` neither read the state nor update it."""
        self._engine = engine
        self._state = state
        self._times = times
        self._rebuilding = rebuilding

    def __call__(self, batch: Batch) -> None:
        """Set `row` of each trigger and `batch.writes`; marks records whose features fail.

        Raises `StateLostError`: the batch may be enriched again.
        """
        batch.applied = {p: end for p, end in batch.ends.items() if p not in self._rebuilding}
        batch.expected = self._state.expected(batch.applied)
        items = [item for item in batch.items if item.failure is None]
        for item in items:
            partition = item.record.partition
            item.source = partition.source_id
            item.redelivered = item.offset < partition.ahead_until
            item.degraded = None  # it may have been enriched before
        if self._rebuilding:
            items = self._without_state(batch, items)
        wanted = self._gather(items)
        items = [item for item in items if item.failure is None]
        tables = self._state.read(wanted)
        self._engine.advance(items, tables, batch.number)
        batch.writes = self._state.stage(wanted, batch.number)

    def _without_state(self, batch: Batch, items: Sequence[Item]) -> list[Item]:
        """Give records of partitions being rebuilt a row without state; return the others.

        All of the batch's records are served by a fallback: what others read lacks updates.
        """
        frozen = [item for item in items if item.record.partition not in batch.applied]
        self._gather(frozen)
        frozen = [item for item in frozen if item.failure is None]
        for item in frozen:
            self._engine.advance([item], self._engine.tables())
        for item in items:
            item.degraded = REBUILDING
        return [item for item in items if item.record.partition in batch.applied]

    def _gather(self, items: Sequence[Item]) -> list[set[str]]:
        wanted = self._engine.gather(items)
        if self._failures(items):
            wanted = self._engine.gather([item for item in items if item.failure is None])
        for item in items:
            if item.applied_before:
                item.updates = (None,) * len(item.updates)
        return wanted

    def _failures(self, items: Sequence[Item]) -> bool:
        failed = False
        for item in items:
            if item.error is not None:
                kind = type(item.error)
                name = f"{kind.__module__}.{kind.__qualname__}"
                message = f"a function of the feature declaration raised {name}"
                item.failure = Failure("enrich", "feature-error", message, disposition="bug")
                failed = True
                continue
            believed = item.event.event_time  # since decode
            for update in item.updates:
                if update is not None and update[0] is not believed:
                    low, high = self._times.range_at(item.record.known_at)
                    if not low <= update[0] <= high:
                        # One believed time of the year 2099 would erase a decayed state.
                        item.failure = out_of_range("a time that updates the state")
                        failed = True
                        break
        return failed
