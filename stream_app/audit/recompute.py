"""States recomputed from the log, and compared with those in the store.

Each state says by its fences through which offset of each source it was updated, so what it must
hold is exact even while workers go on: the updates of the log up to its fences, no more and no
less, and all those below the committed offsets. Counts, digests, last values and rings must be
equal; decayed sums, whose last bits depend on the order, within 1e-9 relative.

Of some records nobody can tell from the log whether they changed the state: those that a dead letter
says changed nothing and that were not replayed, for the letter may be one of two attempts, and those
whose times were believed or not by a worker's clock. Count and digest of a state tell which of them it
holds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence, Set
from typing import Final

from confluent_kafka import Message

from stream_app.audit.compared_state import (
    Change,
    ComparedState,
    apply,
    difference,
    lack,
    may_have_expired,
    settle,
)
from stream_app.audit.judging import Judge
from stream_app.audit.ledger import Ledger
from stream_app.audit.reading import Progress, read
from stream_app.audit.report import RecomputeReport
from stream_app.audit.updates import StateUpdate, Updates
from stream_app.errors import ConfigurationError
from stream_app.features.engine.engine import account_hashes
from stream_app.features.stores import Store
from stream_app.features.stores.codec import StateCodec
from stream_app.features.usecase import UseCase
from stream_app.features.views import View
from stream_app.kafka.brokers import Brokers
from stream_app.records.item import Item
from stream_app.records.places import PartitionId

__all__ = ["recompute"]

_CHANGES: Final = 1_000
"""Changes whose states are read from the store at once."""


def recompute(
    brokers: Brokers,
    store: Store,
    usecase: UseCase,
    judge: Judge,
    ledgers: Mapping[PartitionId, Ledger],
    ids: Mapping[PartitionId, int],
    committed: Mapping[PartitionId, int],
    progress: Progress,
    replayed: Set[tuple[PartitionId, int]] = frozenset(),
) -> RecomputeReport:
    """Read the log again, apply its updates, and compare every state it names.

    `replayed`: records of which there are replays. Where a dead letter says that one of them changed
    nothing, its replay counts and it does not.
    """
    states = _States(store, usecase, judge, ids, committed, replayed)
    first = {partition_id: (ledger.first, ledger.end) for partition_id, ledger in ledgers.items()}
    changes: list[Change] = []
    for messages in read(brokers, first, progress, _refuse):
        changes += states.updates(messages, ledgers)
        if len(changes) >= _CHANGES:
            states.load(changes)
            changes = []
    states.load(changes)
    # A state that was read from the store late may hold records from beyond the range, up to these
    # ends.
    ends = brokers.ends(list(ledgers), decided=True)
    more = {
        partition_id: (ledger.end, ends[partition_id]) for partition_id, ledger in ledgers.items()
    }
    for messages in read(brokers, more, progress, _refuse):
        states.apply(states.updates(messages, {}))
    return states.compare()


def _refuse(partition_id: PartitionId, first: int, end: int) -> None:
    raise ConfigurationError(
        f"Retention removed {partition_id} {first}-{end - 1} while states were recomputed: the log is "
        "not complete any more."
    )


class _States:
    def __init__(
        self,
        store: Store,
        usecase: UseCase,
        judge: Judge,
        ids: Mapping[PartitionId, int],
        committed: Mapping[PartitionId, int],
        replayed: Set[tuple[PartitionId, int]],
    ) -> None:
        self._store = store
        self._replayed = replayed
        self._judge = judge
        self._views: Sequence[View] = usecase.features.views
        self._codecs = [StateCodec(view) for view in self._views]
        self._updates = Updates(usecase.features, judge.times)
        self._times = usecase.times
        self._ids = ids
        self._committed = committed
        self._tables: list[dict[str, ComparedState]] = [{} for _ in self._views]
        self._report = RecomputeReport()

    def updates(
        self, messages: list[Message], ledgers: Mapping[PartitionId, Ledger]
    ) -> list[Change]:
        """What records change, or may have changed; empties the list."""
        changes = []
        for item in self._judge.decode(messages):
            if item.failure is not None or item.is_skipped or item.applied_before:
                continue
            updates = self._updates(item.event, item.record.known_at)
            if updates:
                partition = item.record.partition
                partition_id = PartitionId(partition.topic, partition.number)
                ledger = ledgers.get(partition_id)
                refused = ledger is not None and ledger.changed_no_state(item.offset)
                if refused and (partition_id, item.offset) in self._replayed:
                    continue
                changes.append(self._change(item, partition_id, updates, refused=refused))
        hashes = account_hashes([c.source for c in changes], [c.offset for c in changes])
        for change, digest in zip(changes, hashes, strict=True):
            change.digest = digest
        return changes

    def _change(
        self,
        item: Item,
        partition_id: PartitionId,
        updates: Sequence[StateUpdate],
        *,
        refused: bool,
    ) -> Change:
        low, high = self._times.range_at(item.record.known_at)
        times = [item.event.event_time, *(each.update[0] for each in updates)]
        return Change(
            self._ids[partition_id],
            item.rank,
            item.offset,
            0,
            item.event.event_time,
            item.record.known_at,
            item.offset < self._committed.get(partition_id, 0),
            refused or not low <= min(times) <= max(times) <= high,
            updates,
        )

    def load(self, changes: Sequence[Change]) -> None:
        """Apply changes, after the states they name were read from the store."""
        wanted: list[set[str]] = [set() for _ in self._views]
        for change in changes:
            for update in change.updates:
                if update.entity not in self._tables[update.view]:
                    wanted[update.view].add(update.entity)
        if any(wanted):
            found = self._store.read(wanted)
            for view, codec, table, pairs, entities in zip(
                self._views, self._codecs, self._tables, found, wanted, strict=True
            ):
                stored = codec.unpack([packed for _, packed in pairs])
                there = dict(zip((entity for entity, _ in pairs), stored, strict=True))
                for entity in entities:
                    table[entity] = ComparedState(there.get(entity), view.state.empty())
        self.apply(changes)

    def apply(self, changes: Sequence[Change]) -> None:
        """Apply changes to the states that were read, up to their fences."""
        report = self._report
        for change in changes:
            for view, entity, update in change.updates:
                held = self._tables[view].get(entity)
                if held is None:
                    continue
                stored = held.stored
                through = -1 if stored is None else stored.fences.get(change.source, -1)
                if change.offset > through:
                    if not change.committed:
                        report.pending_updates += 1
                        continue
                    if change.uncertain:
                        continue
                    held.lacking += 1
                elif change.uncertain:
                    held.uncertain.append((change, update))
                    continue
                elif not change.committed:
                    report.uncommitted_updates += 1
                apply(self._views[view], held, change, update)

    def compare(self) -> RecomputeReport:
        """Compare every state that was read."""
        report, known = self._report, set(self._ids.values())
        now = time.time()
        for view, table in zip(self._views, self._tables, strict=True):
            for entity, held in table.items():
                if not held.count and held.stored is None:
                    continue  # its updates are in flight
                report.states += 1
                settle(view, held)
                strangers = held.stored.fences.keys() - known if held.stored else ()
                if strangers:
                    held.unclear = (
                        f"it holds updates of {len(strangers)} sources that are no partitions of "
                        "the event topics now, so the log cannot tell what it must be"
                    )
                if held.stored is None and may_have_expired(view, now - held.known_at):
                    report.expired += 1
                elif what := lack(held) if held.unclear else difference(view.state, held):
                    report.add_different(view.name, entity, what)
                elif held.unclear:
                    report.add_incomparable(view.name, entity, held.unclear)
                else:
                    report.equal += 1
        return report
