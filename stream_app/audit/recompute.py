"""States recomputed from the log, and compared with those in the store.

Each state says by its fences through which offset of each source it was updated, so what it must
hold is exact even while workers go on: the updates of the log up to its fences, no more and no
less, and all those below the committed offsets. Counts, digests, last values and rings must be
equal; decayed sums, whose last bits depend on the order, within 1e-9 relative.

Of some records nobody can tell from the log whether they changed the state: those that a dead letter
says changed nothing, for a rebuild may have applied them since, and those whose times were believed
or not by a worker's clock. Count and digest of a state tell which of them it holds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import Any, Final

from confluent_kafka import Message

from stream_app.audit.judging import Judge
from stream_app.audit.ledger import Ledger
from stream_app.audit.reading import Progress, read
from stream_app.audit.report import RecomputeReport
from stream_app.audit.updates import StateUpdate, Updates
from stream_app.audit.values import same_values
from stream_app.errors import ConfigurationError
from stream_app.features.engine.engine import EntityState, account_hashes
from stream_app.features.kinds import State, Update
from stream_app.features.stores import Store
from stream_app.features.stores.codec import StateCodec
from stream_app.features.usecase import UseCase
from stream_app.features.views import View
from stream_app.kafka.brokers import Brokers
from stream_app.records.item import Item
from stream_app.records.places import PartitionId
from stream_app.text.foreign import bounded

__all__ = ["recompute", "same_values"]

_MASK: Final = 2**64 - 1
_CHANGES: Final = 1_000
"""Changes whose states are read from the store at once."""
_TRIES: Final = 5_000
"""Choices of uncertain updates that are tried for one state."""


def recompute(
    brokers: Brokers,
    store: Store,
    usecase: UseCase,
    judge: Judge,
    ledgers: Mapping[PartitionId, Ledger],
    ids: Mapping[PartitionId, int],
    committed: Mapping[PartitionId, int],
    progress: Progress,
) -> RecomputeReport:
    """Read the log again, apply its updates, and compare every state it names."""
    states = _States(store, usecase, judge, ids, committed)
    first = {place: (ledger.first, ledger.end) for place, ledger in ledgers.items()}
    changes: list[_Change] = []
    for messages in read(brokers, first, progress, _refuse):
        changes += states.updates(messages, ledgers)
        if len(changes) >= _CHANGES:
            states.load(changes)
            changes = []
    states.load(changes)
    # A state that was read from the store late may hold records from beyond the range, up to these
    # ends.
    ends = brokers.ends(list(ledgers), decided=True)
    more = {place: (ledger.end, ends[place]) for place, ledger in ledgers.items()}
    for messages in read(brokers, more, progress, _refuse):
        states.apply(states.updates(messages, {}))
    return states.compare()


def _refuse(place: PartitionId, first: int, end: int) -> None:
    raise ConfigurationError(
        f"Retention removed {place} {first}-{end - 1} while states were recomputed: the log is "
        "not complete any more."
    )


@dataclass(slots=True)
class _Compared:
    """A state as the store holds it, beside what the log makes of it."""

    stored: EntityState | None
    values: list[Any]
    count: int = 0
    digest: int = 0
    newest: float = -math.inf
    lacking: int = 0
    """Committed updates above the fences of the stored state."""
    known_at: float = -math.inf
    uncertain: list[tuple[_Change, Update]] = field(default_factory=list)
    """Updates that the state may hold or not."""
    unclear: str = ""
    """Why it cannot be compared, as a sentence; empty if it can."""


@dataclass(slots=True)
class _Change:
    """The updates of one record."""

    source: int
    rank: int
    offset: int
    digest: int
    event_time: float
    known_at: float
    committed: bool
    uncertain: bool
    """Whether a state may hold it or not."""
    updates: Sequence[StateUpdate] = field(default_factory=list)


class _States:
    def __init__(
        self,
        store: Store,
        usecase: UseCase,
        judge: Judge,
        ids: Mapping[PartitionId, int],
        committed: Mapping[PartitionId, int],
    ) -> None:
        self._store = store
        self._judge = judge
        self._views: Sequence[View] = usecase.features.views
        self._codecs = [StateCodec(view) for view in self._views]
        self._updates = Updates(usecase.features, judge.times)
        self._times = usecase.times
        self._ids = ids
        self._committed = committed
        self._tables: list[dict[str, _Compared]] = [{} for _ in self._views]
        self._report = RecomputeReport()

    def updates(
        self, messages: list[Message], ledgers: Mapping[PartitionId, Ledger]
    ) -> list[_Change]:
        """What records change, or may have changed; empties the list."""
        changes = []
        for item in self._judge.decode(messages):
            if item.failure is not None or item.is_skipped or item.applied_before:
                continue
            updates = self._updates(item.event, item.record.known_at)
            if updates:
                partition = item.record.partition
                place = PartitionId(partition.topic, partition.number)
                ledger = ledgers.get(place)
                refused = ledger is not None and ledger.changed_no_state(item.offset)
                changes.append(self._change(item, place, updates, refused=refused))
        hashes = account_hashes([c.source for c in changes], [c.offset for c in changes])
        for change, digest in zip(changes, hashes, strict=True):
            change.digest = digest
        return changes

    def _change(
        self, item: Item, place: PartitionId, updates: Sequence[StateUpdate], *, refused: bool
    ) -> _Change:
        low, high = self._times.range_at(item.record.known_at)
        times = [item.event.event_time, *(each.update[0] for each in updates)]
        return _Change(
            self._ids[place],
            item.rank,
            item.offset,
            0,
            item.event.event_time,
            item.record.known_at,
            item.offset < self._committed.get(place, 0),
            refused or not low <= min(times) <= max(times) <= high,
            updates,
        )

    def load(self, changes: Sequence[_Change]) -> None:
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
                    table[entity] = _Compared(there.get(entity), view.state.empty())
        self.apply(changes)

    def apply(self, changes: Sequence[_Change]) -> None:
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
                _apply(self._views[view], held, change, update)

    def compare(self) -> RecomputeReport:
        """Compare every state that was read."""
        report, known = self._report, set(self._ids.values())
        now = time.time()
        for view, table in zip(self._views, self._tables, strict=True):
            for entity, held in table.items():
                if not held.count and held.stored is None:
                    continue  # its updates are in flight
                report.states += 1
                _settle(view, held)
                strangers = held.stored.fences.keys() - known if held.stored else ()
                if strangers:
                    held.unclear = (
                        f"it holds updates of {len(strangers)} sources that are no partitions of "
                        "the event topics now, so the log cannot tell what it must be"
                    )
                if held.stored is None and _may_have_expired(view, now - held.known_at):
                    report.expired += 1
                elif what := _lack(held) if held.unclear else _difference(view.state, held):
                    report.add_different(view.name, entity, what)
                elif held.unclear:
                    report.add_incomparable(view.name, entity, held.unclear)
                else:
                    report.equal += 1
        return report


def _apply(view: View, held: _Compared, change: _Change, update: Update) -> None:
    """Apply an update to what is expected."""
    try:
        view.state.apply(held.values, update, change.rank, change.offset)
    except Exception as error:  # noqa: BLE001 - a kind of state may be the use case's own
        # The worker does not apply it, and what it leaves behind here is half an update.
        held.unclear = f"its arithmetic raised {type(error).__qualname__} for {change.offset}"
    held.count += 1
    held.digest += change.digest
    held.newest = max(held.newest, change.event_time)
    held.known_at = max(held.known_at, change.known_at)


def _settle(view: View, held: _Compared) -> None:
    """Apply those uncertain updates that a stored state holds, by its count and digest."""
    stored = held.stored
    if not held.uncertain or stored is None:
        return
    wanted = stored.count - held.count
    if wanted == 0:
        return
    missing = (stored.digest - held.digest) & _MASK
    if not 0 < wanted <= len(held.uncertain):
        return
    tries = islice(combinations(held.uncertain, wanted), _TRIES)
    chosen = next(
        (each for each in tries if sum(c.digest for c, _ in each) & _MASK == missing), None
    )
    if chosen is not None:
        for change, update in chosen:
            _apply(view, held, change, update)
    elif math.comb(len(held.uncertain), wanted) > _TRIES:
        held.unclear = (
            f"it may hold {wanted} of {len(held.uncertain)} updates of records that were "
            "dead-lettered or had doubtful times: too many to try which"
        )


def _may_have_expired(view: View, idle_seconds: float) -> bool:
    return view.ttl_seconds is not None and idle_seconds > view.ttl_seconds


def _lack(held: _Compared) -> str:
    """What a stored state certainly lacks, as a sentence; empty if nothing is known to lack."""
    if held.stored is None:
        return f"it is not in the store; the log has {held.count} updates of it"
    if held.lacking:
        return (
            f"it lacks {held.lacking} updates of committed records; the log has {held.count} "
            f"updates of it and the store counts {held.stored.count}"
        )
    if held.stored.count < held.count:
        return f"the store counts {held.stored.count} updates and the log has {held.count}"
    return ""


def _difference(state: State, held: _Compared) -> str:
    """What is wrong with a stored state, as a sentence; empty if nothing is."""
    stored = held.stored
    lack = _lack(held)
    if stored is None or lack:
        return lack
    if stored.count != held.count:
        return f"the store counts {stored.count} updates and the log has {held.count}"
    if stored.digest != held.digest & _MASK:
        return f"of its {held.count} updates some are of other records than those of the log"
    if stored.newest != held.newest:
        return f"its newest event time is {stored.newest!r} and should be {held.newest!r}"
    if not same_values(state, stored.values, held.values):
        return f"it holds {_short(stored.values)} and should hold {_short(held.values)}"
    return ""


def _short(values: Sequence[Any]) -> str:
    shown = ", ".join(bounded(repr(value), 40) for value in values[:8])
    return f"[{shown}{', ...' if len(values) > 8 else ''}]"
