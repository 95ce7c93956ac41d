"""States in compiled code: the same, to the bit, as in Python."""

import struct
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.compiled import compiled_module
from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.careful import advance_carefully
from stream_app.features.engine.engine import FeatureEngine, Tables
from stream_app.features.events import Event
from stream_app.features.kinds import (
    DecayedMoments,
    DecayedShare,
    DecayedSums,
    Distinct,
    Extremes,
    LastN,
    LastValue,
    OpenItems,
    State,
    StateOverflowError,
    Windows,
)
from stream_app.features.stores.codec import StateCodec
from stream_app.features.views import Column, Entity, FeatureSet, View
from tests.unit.features.kinds.every import CASES

pytestmark = pytest.mark.skipif(
    compiled_module("states") is None, reason="nothing is compiled here"
)
slower = settings(max_examples=60, deadline=None)


class Happened(Event):
    """Carries an update of each view as it is."""

    updates: Any
    who: Any


def feature_set(
    kinds: Sequence[tuple[State, Sequence[Any]]], ttl: float | None = None
) -> FeatureSet:
    """A view a kind, with its reads as columns; every event asks and updates."""

    def view(number: int, kind: State, reads: Sequence[Any]) -> View:
        columns = tuple(Column(f"c{number}_{at}", read, "", "") for at, read in enumerate(reads))
        return View(
            f"v{number}", Entity("who", lambda event: event.who), kind,
            {Happened: lambda event: event.updates[number]}, columns, ttl_seconds=ttl,
        )  # fmt: skip

    views = tuple(view(number, *each) for number, each in enumerate(kinds))
    return FeatureSet(views=views, triggers=(Happened,))


SUMS = DecayedSums(100.0, ("amount", "late"))
LAST = LastValue(("left", "right"))
RING = OpenItems(horizon_seconds=9.0, slot_seconds=0.7)
SHARE = DecayedShare(30.0)
ENDS = Extremes(("left", "right"))
MOMENTS = DecayedMoments(30.0, ("amount", "late"))
NEWEST = LastN(3, ("left", "right"))
# Doubles behind an odd number of counters; values in another order than that of the rows.
WINDOWS = Windows(4.2, slots=6, sums=("late", "amount"), extremes=("left", "late"))
COUNTS = Windows(4.2, slots=6)
CELLS = Distinct(9.0, cells=5)
COMPILED = feature_set(
    [
        (SUMS, [SUMS.count(), SUMS.mean("amount"), SUMS.mean("late"), SUMS.age()]),
        (LAST, [LAST.value("left"), LAST.value("right"), LAST.age()]),
        (RING, [RING.overdue(5.0), RING.overdue(1e9), RING.overdue(1e30)]),
        # Columns of another view's kind: a mistake, and the same mistake on both ways.
        (SUMS, [LAST.age(), RING.overdue(5.0), DecayedSums(3.0).count(), ENDS.maximum("left")]),
        (SHARE, [SHARE.share(), SHARE.whole(), SHARE.age()]),
        (ENDS, [ENDS.minimum("left"), ENDS.maximum("left"), ENDS.maximum("right"), ENDS.age()]),
        (ENDS, [SHARE.share(), SHARE.whole()]),
        (
            MOMENTS,
            [
                MOMENTS.count(),
                MOMENTS.mean("amount"),
                MOMENTS.mean("late"),
                MOMENTS.age(),
                MOMENTS.variance("amount"),
                MOMENTS.deviation("amount"),
                MOMENTS.deviation("late"),
                NEWEST.mean("left"),
            ],
        ),
        (
            NEWEST,
            [
                NEWEST.value("left"),
                NEWEST.nth("right", 2),
                NEWEST.mean("left"),
                NEWEST.minimum("left"),
                NEWEST.maximum("right"),
                NEWEST.count(),
                NEWEST.age(1),
                LastN(3, ("left",)).count(),
                MOMENTS.deviation("amount"),
            ],
        ),
        (
            WINDOWS,
            [
                WINDOWS.count(),
                WINDOWS.count(0.7, ago=1.4),
                WINDOWS.sum("late"),
                WINDOWS.sum("amount", 2.1),
                WINDOWS.mean("amount"),
                WINDOWS.mean("late", 1.4, ago=0.7),
                WINDOWS.minimum("left"),
                WINDOWS.maximum("late"),
                WINDOWS.maximum("left", 1.4),
            ],
        ),
        (COUNTS, [COUNTS.count(), WINDOWS.sum("late"), WINDOWS.maximum("late"), RING.overdue(5.0)]),
        (CELLS, [CELLS.count(), CELLS.count(2.0), CELLS.count(1e300)]),
    ],
    ttl=50.0,
)
OTHERS = len(COMPILED.views) - 1
EVERY = feature_set([(case.kind, case.reads) for case in CASES])


class Side:
    """An engine with its tables, and a codec a view."""

    def __init__(self, features: FeatureSet, *, in_python: bool) -> None:
        self.engine = FeatureEngine(features, in_python=in_python)
        self.codecs = [StateCodec(view, in_python=in_python) for view in features.views]
        self.tables: Tables = self.engine.tables()

    def arrivals(self, log: Sequence[tuple[Any, ...]]) -> list[Arrival]:
        """The log as arrivals that are gathered."""
        taken = []
        for time, who, updates, source, rank, offset, redelivered in log:
            event = Happened.model_construct(
                event_id="e", event_time=time, who=who, updates=updates
            )
            arrival = Arrival(event, source, rank, offset)
            arrival.redelivered = redelivered
            taken.append(arrival)
        self.engine.gather(taken)
        return taken

    def take(self, log: Sequence[tuple[Any, ...]], *, carefully: bool = False) -> Any:
        """What comes of a batch: rows, flags, errors, and every state as it is packed."""
        arrivals = self.arrivals(log)
        try:
            if carefully:
                advance_carefully(self.engine, arrivals, self.tables, 7, lambda view, state: None)
            else:
                self.engine.advance(arrivals, self.tables, 7)
        except Exception as error:  # noqa: BLE001 - it has to be the same
            failure = self.engine.failure(error)
            return type(error), str(error), failure and str(failure), self.packed()
        return [self.outcome(each) for each in arrivals], self.packed()

    def reapply(self, log: Sequence[tuple[Any, ...]]) -> Any:
        """What comes of a batch whose compare-and-set was lost."""
        arrivals = self.arrivals(log)
        self.engine.reapply([each for each in arrivals if each.error is None], self.tables)
        return self.packed()

    def outcome(self, arrival: Arrival) -> Any:
        """All that an engine says of an arrival, to the bit."""
        row = None if arrival.row is None else [bits(value) for value in arrival.row]
        error = None if arrival.error is None else str(arrival.error)
        return row, bits(arrival.newest), arrival.ahead, error

    def packed(self) -> list[dict[str, Any]]:
        """Every state as a store would hold it, with the number of its batch."""
        return [
            {entity: (self.pack(view, state), state.batch) for entity, state in table.items()}
            for view, table in enumerate(self.tables)
        ]

    def pack(self, view: int, state: Any) -> Any:
        """The packed state, or why it cannot be."""
        try:
            return self.codecs[view].pack(state)
        except StateOverflowError as error:
            return str(error)

    def by_way_of_a_store(self) -> None:
        """Put what a store gives back in the place of every state that it can hold."""
        for view, table in enumerate(self.tables):
            for entity, state in table.items():
                packed = self.pack(view, state)
                if isinstance(packed, bytes):
                    (table[entity],) = self.codecs[view].unpack([packed])


def bits(value: Any) -> Any:
    """A float as its bits, with its type; anything else as it is."""
    return struct.pack("<d", value) if type(value) is float else value


times = (
    st.integers(-50, 50).map(lambda halves: halves / 2.0)
    | st.floats(-1e4, 1e6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-5, 100)
    | st.just(-0.0)
)
numbers = (
    st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(10**300), 10**300) | st.booleans()
)  # fmt: skip
counts = st.sampled_from([1, -1, 2**31 - 1, -(2**31), 2**70, True]) | st.integers(-9, 9) | numbers
COMPILED_UPDATES = st.tuples(
    st.none() | st.tuples(times, numbers, numbers),
    st.none() | st.tuples(times, st.none() | numbers, st.none() | numbers),
    st.none() | st.tuples(times, counts),
    st.none() | st.lists(numbers, min_size=3, max_size=3),
    st.none() | st.tuples(times, numbers, numbers),
    st.none() | st.tuples(times, st.none() | numbers, st.none() | numbers),
    st.none() | st.tuples(times, numbers | st.floats()),
    st.none() | st.tuples(times, numbers, numbers),
    st.none() | st.tuples(times, st.none() | numbers, st.none() | numbers),
    st.none() | st.tuples(times, numbers, numbers | st.floats(), numbers),
    st.none() | st.tuples(times),
    st.none() | st.tuples(times, st.integers() | st.text(max_size=2)),
)
EVERY_UPDATES = st.tuples(*(st.none() | case.updates for case in CASES))


def logs(updates: st.SearchStrategy[Any]) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    """Records of few sources, out of order and read again; now and then with odd numbers."""
    return st.lists(
        st.tuples(
            st.integers(0, 200).map(float) | st.integers(0, 200) | st.floats(-1e9, 1e9),
            st.sampled_from([7, "8", None]),
            updates,
            st.integers(0, 30) | st.sampled_from([2**32 - 1, 2**32]),
            st.integers(0, 5) | st.just(2**60),
            st.integers(0, 40) | st.sampled_from([2**53, 2**53 + 1, 2**62, -1]),
            st.booleans(),
        ),
        max_size=12,
    )


def held_against_each_other(
    features: FeatureSet, batches: Sequence[tuple[list[tuple[Any, ...]], str]]
) -> None:
    """Take batches on both ways; after each of them everything is the same."""
    compiled, python = Side(features, in_python=False), Side(features, in_python=True)
    for log, how in batches:
        for side in (compiled, python):
            if how == "stored":
                side.by_way_of_a_store()
        if how == "reapplied":
            assert compiled.reapply(log) == python.reapply(log)
        else:
            carefully = how == "carefully"
            found = compiled.take(log, carefully=carefully)
            assert found == python.take(log, carefully=carefully)


ways = st.sampled_from(["at once", "stored", "stored", "carefully", "reapplied"])


@slower
@given(st.lists(st.tuples(logs(EVERY_UPDATES), ways), max_size=4))
def test_every_kind_of_state_is_the_same(batches: Any) -> None:
    """Rows, packed states, accounts, fences, what is ahead; in memory, and by way of a store."""
    held_against_each_other(EVERY, batches)


@slower
@given(st.lists(st.tuples(logs(COMPILED_UPDATES), ways), max_size=5))
def test_compiled_arithmetic_is_the_same_for_every_number(batches: Any) -> None:
    """Integers of any size, truth values, sums that overflow, counters that do not fit."""
    held_against_each_other(COMPILED, batches)


def test_usual_states_stay_in_compiled_code() -> None:
    """Or nothing would be gained: a view of the values is what turns a state into a list."""
    module = compiled_module("states")
    asked: list[Any] = []
    kind = module.Kind(
        struct.Struct("<3d"), DecayedSums(9.0, ("x",)).empty, lambda *given: asked.append(given),
        ("decayed-sums", 9.0), True,
    )  # fmt: skip
    plan = module.Plan([kind], [], [(0, 0)])
    arrival = SimpleNamespace(
        event_time=1.0, keys=("a",), updates=((1.0, 2),), source=1, rank=0, offset=3,
        digest=2**64 - 1, ahead=False,
    )  # fmt: skip
    tables: list[dict[str, Any]] = [{}]
    plan.update(arrival, tables, 5, True)
    assert asked == []
    state = tables[0]["a"]
    assert (state.values, state.fences) == ([1.0, 1.0, 2.0], {1: 3})
    assert (state.count, state.digest, state.newest, state.batch) == (1, 2**64 - 1, 1.0, 5)
    arrival.updates = (("text", 2),)
    arrival.offset = 4
    plan.update(arrival, tables, 5, True)
    assert len(asked) == 1


def test_a_state_of_another_make_is_refused() -> None:
    """A mistake in the code that puts states into tables, and no crash of the process."""
    python, compiled = Side(COMPILED, in_python=True), Side(COMPILED, in_python=False)
    log = [(1.0, "8", ((1.0, 1.0, 1.0), *[None] * OTHERS), 1, 0, 0, False)]
    python.take(log)
    compiled.tables = python.tables
    arrivals = compiled.arrivals(log)
    with pytest.raises(TypeError, match="EntityState"):
        compiled.engine.advance(arrivals, compiled.tables)


@slower
@given(st.lists(st.integers(0, 2**32 - 1), unique=True, max_size=60))
def test_fences_of_many_sources_are_kept_in_their_order(sources: list[int]) -> None:
    """Room is made for them as they come; `applied` looks them up."""
    sides = [Side(COMPILED, in_python=in_python) for in_python in (False, True)]
    log = [
        (1.0, "8", ((1.0, 1.0, 1.0), *[None] * OTHERS), source, 0, offset, False)
        for offset, source in enumerate(sources)
    ]
    compiled, python = (side.take(log) for side in sides)
    assert compiled == python
    if sources:
        state = sides[0].tables[0]["8"]
        assert [state.applied(source) for source in sources] == list(range(len(sources)))
        assert state.applied(-1) == state.applied(2**40) == -1
        assert list(state.fences) == sources
        assert state.applied(sources[-1]) == len(sources) - 1


def test_a_full_counter_of_a_window_is_refused_when_it_is_packed() -> None:
    """As in Python, where a list holds what four bytes do not."""
    python, compiled = Side(COMPILED, in_python=True), Side(COMPILED, in_python=False)
    view = [each.state for each in COMPILED.views].index(COUNTS)
    nothing: list[Any] = [None] * len(COMPILED.views)
    log = [(1.0, "8", (*nothing[:view], (1.0,), *nothing[view + 1 :]), 1, 0, 0, False)]
    for side in (python, compiled):
        state = side.engine.absent(view)
        state.values = [1, 0, 2**32 - 1, *state.values[3:]]
        side.tables[view]["8"] = state
        side.by_way_of_a_store()
    found = compiled.take(log)
    assert found == python.take(log)
    assert "does not fit" in found[1][view]["8"][0]


@pytest.mark.parametrize("slot", [2**63 - 1, -(2**63)])
@pytest.mark.parametrize("kind", [RING, COUNTS], ids=["open items", "windows"])
def test_a_newest_slot_that_is_far_away_is_taken_by_python(kind: Any, slot: int) -> None:
    """Where eight bytes do not hold how far away an update is."""
    python, compiled = Side(COMPILED, in_python=True), Side(COMPILED, in_python=False)
    view = [each.state for each in COMPILED.views].index(kind)
    nothing: list[Any] = [None] * len(COMPILED.views)
    log = [
        (1.0, "8", (*nothing[:view], (time, *([1] if kind is RING else [])), *nothing[view + 1 :]),
         1, 0, offset, False)
        for offset, time in enumerate((-8e17, 8e17, 5.0))
    ]  # fmt: skip
    for side in (python, compiled):
        state = side.engine.absent(view)
        state.values = [slot, *state.values[1:]]
        side.tables[view]["8"] = state
        side.by_way_of_a_store()
    assert compiled.take(log) == python.take(log)
