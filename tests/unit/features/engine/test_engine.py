"""The engine: whatever the interleaving, the batches and the redeliveries, the states are one."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import FeatureEngine, account_hashes
from stream_app.features.engine.replay import LoggedEvent
from stream_app.features.views import Column, Entity, FeatureSet, RowFeature, View
from tests.unit.features.builders import (
    FEATURES,
    MASK,
    SUMS,
    Delivered,
    InMemory,
    Ordered,
    Stored,
    arrival,
    assert_same_states,
    bits,
    contents,
    cut,
    delivered,
    examples,
    interleavings,
    logged,
    logs,
    ordered,
    reference_hash,
    sizes,
)


def updates_of(entry: LoggedEvent) -> list[tuple[int, str]]:
    """The (view, entity) pairs that a logged event updates."""
    event: Any = entry.event
    touched = [(2, "all")]
    if event.shop is not None:
        touched += [(0, event.shop)] if isinstance(event, Ordered) else []
        touched += [(1, event.shop)]
    return touched


@examples
@given(interleavings(), sizes(), sizes())
def test_any_interleaving_leaves_the_same_state(
    pair: tuple[list[LoggedEvent], list[LoggedEvent]], by: list[int], other_by: list[int]
) -> None:
    """Partitions merged in another order, in other batches: the same states and accounts."""
    one, other = InMemory(), InMemory()
    one.take(pair[0], by)
    other.take(pair[1], other_by)
    assert_same_states(one.tables, other.tables)


@examples
@given(logs(), sizes(), st.data())
def test_twice_is_not_once(log: list[LoggedEvent], by: list[int], data: st.DataObject) -> None:
    """Partitions read again from earlier offsets change no bit and are marked as ahead."""
    memory = InMemory()
    memory.take(log, by)
    before = bits(contents(memory.tables))
    starts = {p: data.draw(st.integers(0, 60)) for p in sorted({entry.rank for entry in log})}
    again = [entry for entry in log if entry.offset >= starts[entry.rank]]
    memory.arrivals.clear()
    memory.take(again, by)
    assert bits(contents(memory.tables)) == before
    assert all(a.ahead for a in memory.arrivals)


@examples
@given(logs(), sizes())
def test_no_update_is_skipped(log: list[LoggedEvent], by: list[int]) -> None:
    """Whatever the timestamps and batches, count and digest account for every update."""
    memory = InMemory()
    memory.take(log, by)
    counts: Counter[tuple[int, str]] = Counter()
    digests: dict[tuple[int, str], int] = defaultdict(int)
    fences: dict[tuple[int, str], dict[int, int]] = defaultdict(dict)
    for entry in log:
        for touched in updates_of(entry):
            counts[touched] += 1
            digests[touched] += reference_hash(entry.rank + 1, entry.offset)
            fences[touched][entry.rank + 1] = entry.offset
    held = {(v, e): s for v, table in enumerate(memory.tables) for e, s in table.items()}
    assert held.keys() == counts.keys()
    for touched, state in held.items():
        assert state.count == counts[touched]
        assert state.digest & MASK == digests[touched] & MASK
        assert state.fences == fences[touched]
    assert not any(a.ahead for a in memory.arrivals)


@examples
@given(logs(), sizes())
def test_batch_boundaries_change_no_bit(log: list[LoggedEvent], by: list[int]) -> None:
    """The same rows and states, in one batch, record by record and in any sizes."""
    whole, single, cut_up = InMemory(), InMemory(), InMemory()
    rows = bits(whole.take(log))
    assert bits(single.take(log, [1])) == rows
    assert bits(cut_up.take(log, by)) == rows
    assert bits(contents(single.tables)) == bits(contents(whole.tables))
    assert bits(contents(cut_up.tables)) == bits(contents(whole.tables))


@examples
@given(logs(), sizes())
def test_reapplying_after_a_conflict_is_applying_in_turn(
    log: list[LoggedEvent], by: list[int]
) -> None:
    """Two writers that read the same states: the loser reapplies, and nothing is missing."""
    ours = [arrival(entry) for entry in log if entry.rank == 0]
    stored = Stored()
    stale = stored.states(stored.engine.gather(ours))
    stored.take([entry for entry in log if entry.rank > 0], by)  # the other writer, meanwhile
    stored.batch(ours, stale)
    alone = InMemory()
    alone.take(log)
    assert_same_states(stored.states([list(table) for table in alone.tables]), alone.tables)


def test_reapply_adds_only_what_a_state_lacks() -> None:
    """Updates at or below a present fence are not added again; other keys are not touched."""
    batch = [arrival(logged(ordered(10.0 + n, "north", 1.0), 0, n)) for n in range(3)]
    engine = FeatureEngine(FEATURES)
    engine.gather(batch)
    present = engine.absent(0)
    present.fences[1] = 1
    tables = engine.tables()
    tables[0]["north"] = present
    engine.reapply(batch, tables)
    assert present.count == 1
    assert present.fences == {1: 2}
    assert present.newest == 12.0
    assert [list(table) for table in tables] == [["north"], [], []]


def test_a_record_reads_before_its_own_update() -> None:
    """The first order of a shop knows of no order; the second, in the same batch, of one."""
    rows = InMemory().take([logged(ordered(5.0, amount=7.0), 0, 0), logged(ordered(5.0), 0, 1)])
    assert [row[0] for row in rows] == [0.0, 1.0]
    assert math.isnan(rows[0][1])
    assert rows[1][1] == 7.0


def test_a_missing_key_reads_as_missing_and_updates_nothing() -> None:
    """A null entity key leaves its view alone; the other views and row features go on."""
    memory = InMemory()
    (row,) = memory.take([logged(ordered(5.0, None, 7.0))])
    assert row[0] == 0.0
    assert all(math.isnan(value) for value in row[1:6])
    assert row[6:] == [0.0, 7.0, ""]
    assert [list(table) for table in memory.tables] == [[], [], ["all"]]


def test_a_missing_update_updates_nothing() -> None:
    """A view whose function gives None for an event is not touched by it."""
    view = View(
        name="large",
        entity=Entity("shop", lambda event: event.shop),
        state=SUMS,
        on={Ordered: lambda e: (e.event_time, e.amount) if e.amount > 5 else None},
        columns=(Column("large", SUMS.count(), "", "Large orders."),),
    )
    memory = InMemory(FeatureSet(views=(view,), triggers=(Ordered,)))
    memory.take([logged(ordered(5.0, amount=1.0), 0, 0), logged(ordered(5.0, amount=9.0), 0, 1)])
    assert memory.tables[0]["north"].count == 1


def test_an_event_that_is_no_trigger_has_no_row() -> None:
    """It updates, and asks for nothing."""
    memory = InMemory()
    assert memory.take([logged(delivered(5.0, rating=3.0))]) == []
    assert memory.tables[1]["north"].count == 1


def test_the_newest_event_time_read_is_kept_with_the_row() -> None:
    """Freshness is about the states that were read, and minus infinity where there were none."""
    memory = InMemory()
    log = [logged(ordered(5.0), 0, 0), logged(delivered(8.0, "south"), 0, 1)]
    log += [logged(ordered(9.0), 0, 2)]
    memory.take(log)
    assert [a.newest for a in memory.arrivals] == [-math.inf, -math.inf, 8.0]


def test_a_state_older_than_its_ttl_reads_as_absent_and_stays() -> None:
    """The time to live is in event time, up to and including its last second."""
    view = View(
        name="orders", entity=Entity("shop", lambda event: event.shop), state=SUMS,
        on={Ordered: lambda event: (event.event_time, event.amount)},
        columns=(Column("mean", SUMS.mean("amount"), "", "Mean."),), ttl_seconds=10.0,
    )  # fmt: skip
    memory = InMemory(FeatureSet(views=(view,), triggers=(Ordered,)))
    times = [0.0, 10.0, 20.5, 20.0]
    rows = memory.take([logged(ordered(t, amount=4.0), 0, n) for n, t in enumerate(times)])
    assert [math.isnan(row[0]) for row in rows] == [True, False, True, False]
    assert memory.tables[0]["north"].count == 4


def _asking(columns: tuple[Column, ...]) -> FeatureSet:
    """Orders ask and update nothing; deliveries update what they read."""
    view = View(
        name="deliveries", entity=Entity("shop", lambda event: event.shop), state=SUMS,
        on={Delivered: lambda event: (event.event_time, 1.0)}, columns=columns,
    )  # fmt: skip
    return FeatureSet(views=(view,), triggers=(Ordered,))


@pytest.mark.parametrize("redelivered", [False, True])
def test_a_redelivered_trigger_that_updates_nothing_looks_at_the_states_it_reads(
    redelivered: bool,
) -> None:
    """It is ahead where a state holds a later record of its own partition, and only there."""
    memory = InMemory(_asking((Column("count", SUMS.count(), "", "Deliveries."),)))
    memory.take([logged(delivered(6.0, "north"), 0, 5), logged(delivered(6.0, "south"), 1, 5)])
    places = [("north", 0, 4), ("north", 0, 6), ("north", 1, 4), ("south", 0, 4), (None, 0, 4)]
    asked = [arrival(logged(ordered(7.0, shop), p, offset)) for shop, p, offset in places]
    for each in asked:
        each.redelivered = redelivered
    memory.batch(asked)
    assert [each.ahead for each in asked] == [redelivered, False, False, False, False]


def test_a_column_may_be_read_by_any_function() -> None:
    """It is given the state's numbers, or None where nothing is known, and the event's time."""
    seen: list[Any] = []

    def read(state: list[Any] | None, at: float) -> float:
        seen.append((state and list(state), at))
        return 7.0

    memory = InMemory(_asking((Column("own", read, "", "Whatever it gives."),)))
    log = [logged(ordered(5.0), 0, 0), logged(delivered(6.0), 0, 1), logged(ordered(8.0), 0, 2)]
    assert memory.take(log) == [[7.0], [7.0]]
    assert seen == [(None, 5.0), ([6.0, 1.0, 1.0], 8.0)]


def test_a_view_without_columns_is_updated() -> None:
    """It may be there for what another feature set will read."""
    memory = InMemory(_asking(()))
    assert memory.take([logged(delivered(5.0), 0, 0), logged(ordered(6.0), 0, 1)]) == [[]]
    assert memory.tables[0]["north"].count == 1
    assert memory.arrivals[1].newest == 5.0


def _raise(event: Any) -> Any:
    if event.shop == "raise":
        raise LookupError(event.shop)
    return event.shop


def _broken(*, key: Any = None, update: Any = None, row: Any = None) -> FeatureSet:
    same: Callable[[Any], Any] = lambda event: event.shop  # noqa: E731
    view = View(
        name="orders",
        entity=Entity("shop", key or same),
        state=SUMS,
        on={Ordered: lambda e: (update or same)(e) and (e.event_time, e.amount)},
        columns=(Column("count", SUMS.count(), "", "Count."),),
    )
    feature = RowFeature("shop", row or same, "", "Shop.", "string")
    return FeatureSet(views=(view,), row_features=(feature,), triggers=(Ordered,))


@pytest.mark.parametrize("kind", ["key", "update", "row"])
def test_a_function_that_raises_fails_its_own_record_only(kind: str) -> None:
    """The neighbours in the batch are read and applied as if the record had not been there."""
    shops = ["north", "raise", "north", "raise"]
    log = [logged(ordered(5.0, shop), 0, n) for n, shop in enumerate(shops)]
    memory = InMemory(_broken(**{kind: _raise}))
    memory.take(log)
    causes = [a.error.__cause__ if a.error else None for a in memory.arrivals]
    assert list(map(type, causes)) == [type(None), LookupError] * 2
    assert [a.row for a in memory.arrivals] == [[0.0, "north"], None, [1.0, "north"], None]
    assert list(memory.tables[0]) == ["north"]
    assert memory.tables[0]["north"].fences == {1: 2}


def test_a_batch_in_which_every_record_fails_reads_nothing() -> None:
    """No key is wanted where no function gave one."""
    engine = FeatureEngine(_broken(key=_raise))
    batch = [arrival(logged(ordered(5.0, "raise"), 0, n)) for n in range(2)]
    assert engine.gather(batch) == [set()]
    engine.advance(batch, engine.tables())
    assert [a.row for a in batch] == [None, None]


def test_a_use_case_without_views_has_rows_of_row_features() -> None:
    """No state is wanted, read or kept."""
    features = FeatureSet(row_features=FEATURES.row_features, triggers=(Ordered,))
    engine = FeatureEngine(features)
    batch = [Arrival(ordered(5.0, "north", 3.0), 1, 0, 0), Arrival(delivered(6.0), 1, 0, 1)]
    assert engine.gather(batch) == []
    engine.advance(batch, engine.tables())
    assert [a.row for a in batch] == [[3.0, "north"], None]


def test_a_view_may_be_updated_by_a_base_class_of_events() -> None:
    """An update declared for a class holds for the events derived from it."""

    class Express(Delivered):
        pass

    memory = InMemory()
    event = Express.model_construct(event_id="x", event_time=5.0, shop="n", rating=1.0, due=0.0)
    memory.take([logged(event)])
    assert memory.tables[1]["n"].count == 1


_u32 = st.integers(0, 2**32 - 1)
_i63 = st.integers(0, 2**63 - 1)


@examples
@given(st.lists(st.tuples(_u32, _i63), max_size=8))
def test_account_hashes_are_splitmix64(pairs: Sequence[tuple[int, int]]) -> None:
    """Vectorised in numpy, they are what plain integers give."""
    hashes = account_hashes([s for s, _ in pairs], [o for _, o in pairs])
    assert hashes == [reference_hash(source, offset) for source, offset in pairs]


def test_gather_asks_for_what_advance_touches() -> None:
    """The keys of all views, once each, and never None."""
    log = [logged(ordered(1.0, shop), 0, n) for n, shop in enumerate(["a", "b", None, "a"])]
    (batch,) = cut(log, [10])
    assert FeatureEngine(FEATURES).gather(batch) == [{"a", "b"}, {"a", "b"}, {"all"}]
