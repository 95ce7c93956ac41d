"""A small use case of deliveries, logs of its events, and engines that run them.

Nothing here is random or slow: property tests draw what they need and hand it in.
"""

import math
import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import EntityState, FeatureEngine, Tables
from stream_app.features.engine.order import rank
from stream_app.features.engine.replay import LoggedEvent
from stream_app.features.events import Event
from stream_app.features.kinds import DecayedSums, LastValue, OpenItems
from stream_app.features.stores import MemoryStore, Progress, StateWrite, Store
from stream_app.features.stores.codec import StateCodec, unique_versions
from stream_app.features.views import Column, Entity, FeatureSet, RowFeature, View

#: Property tests run this many examples, so that the unit suite stays below its bound in time.
examples = settings(max_examples=25, deadline=None)


class Ordered(Event):
    """Asks for a prediction; opens an item."""

    shop: str | None = None
    amount: float = 0.0
    due: float = 0.0


class Delivered(Event):
    """Only updates; closes an item."""

    shop: str | None = None
    rating: float | None = None
    due: float = 0.0


SUMS = DecayedSums(3600.0, ("amount",))
LAST = LastValue(("amount", "rating"))
OPEN = OpenItems(horizon_seconds=600.0, slot_seconds=60.0)

_SHOP = Entity("shop", lambda event: event.shop)
_EVERYONE = Entity("everyone", lambda event: "all")

FEATURES = FeatureSet(
    views=(
        View(
            name="orders",
            entity=_SHOP,
            state=SUMS,
            on={Ordered: lambda event: (event.event_time, event.amount)},
            columns=(
                Column("orders", SUMS.count(), "", "Orders lately."),
                Column("mean_amount", SUMS.mean("amount"), "EUR", "Mean amount lately."),
                Column("order_age", SUMS.age(), "s", "Since the newest order."),
            ),
        ),
        View(
            name="last",
            entity=_SHOP,
            state=LAST,
            on={
                Ordered: lambda event: (event.event_time, event.amount, None),
                Delivered: lambda event: (event.event_time, None, event.rating),
            },
            columns=(
                Column("last_amount", LAST.value("amount"), "EUR", "Newest amount."),
                Column("last_rating", LAST.value("rating"), "", "Newest rating."),
                Column("last_age", LAST.age(), "s", "Since the newest event."),
            ),
        ),
        View(
            name="open",
            entity=_EVERYONE,
            state=OPEN,
            on={
                Ordered: lambda event: (event.due, 1),
                Delivered: lambda event: (event.due, -1),
            },
            columns=(Column("overdue", OPEN.overdue(300.0), "", "Overdue orders."),),
        ),
    ),
    row_features=(
        RowFeature("amount", lambda event: event.amount, "EUR", "This amount."),
        RowFeature("shop", lambda event: event.shop or "", "", "This shop.", "string"),
    ),
    triggers=(Ordered,),
)

#: Digests count modulo 2**64.
MASK = 2**64 - 1

_EVENT_IDS = iter(range(10**9))


def ordered(
    time: float, shop: str | None = "north", amount: float = 1.0, due: float = 0.0
) -> Ordered:
    """An order at `time` (seconds), made without validation: properties make thousands."""
    return Ordered.model_construct(
        event_id=f"o{next(_EVENT_IDS)}", event_time=time, shop=shop, amount=amount, due=due
    )


def delivered(
    time: float, shop: str | None = "north", rating: float | None = None, due: float = 0.0
) -> Delivered:
    """A delivery at `time` (seconds), made without validation."""
    return Delivered.model_construct(
        event_id=f"d{next(_EVENT_IDS)}", event_time=time, shop=shop, rating=rating, due=due
    )


def logged(event: Event, partition: int = 0, offset: int = 0) -> LoggedEvent:
    """An event at a place of the log's only topic."""
    return LoggedEvent(event, rank(0, partition), offset)


_times = st.integers(0, 20_000).map(lambda tenths: 1e6 + tenths / 10.0)
_shops = st.sampled_from(["north", "south", None])
# Amounts of one sign: where sums cancel, no relative error can be promised.
_amounts = st.integers(0, 10_000).map(lambda cents: cents / 100.0)
_events = st.one_of(
    st.builds(ordered, time=_times, shop=_shops, amount=_amounts, due=_times),
    st.builds(delivered, time=_times, shop=_shops, rating=st.none() | _amounts, due=_times),
)


@st.composite
def logs(draw: st.DrawFn, *, max_size: int = 25, partitions: int = 3) -> list[LoggedEvent]:
    """Logs of several partitions, timestamps in no order, offsets rising with gaps."""
    events = draw(st.lists(_events, max_size=max_size))
    places = draw(
        st.lists(
            st.tuples(st.integers(0, partitions - 1), st.integers(1, 3)),
            min_size=len(events),
            max_size=len(events),
        )
    )
    at: dict[int, int] = defaultdict(int)
    log = []
    for event, (partition, step) in zip(events, places, strict=True):
        at[partition] += step
        log.append(logged(event, partition, at[partition]))
    return log


@st.composite
def interleavings(draw: st.DrawFn) -> tuple[list[LoggedEvent], list[LoggedEvent]]:
    """A log, and another interleaving of its partitions."""
    log = draw(logs())
    queues: dict[int, list[LoggedEvent]] = defaultdict(list)
    for entry in reversed(log):
        queues[entry.rank].append(entry)
    turns = draw(st.permutations([entry.rank for entry in log]))
    return log, [queues[turn].pop() for turn in turns]


def sizes() -> st.SearchStrategy[list[int]]:
    """Sizes of batches; repeated for as long as there are records."""
    return st.lists(st.integers(1, 7), min_size=1, max_size=6)


def cut(log: Sequence[LoggedEvent], by: Sequence[int]) -> list[list[Arrival]]:
    """The log as batches of arrivals; sources are numbered from 1, as a store does."""
    batches, at, turn = [], 0, 0
    while at < len(log):
        size = by[turn % len(by)]
        batches.append([arrival(entry) for entry in log[at : at + size]])
        at, turn = at + size, turn + 1
    return batches


def arrival(entry: LoggedEvent) -> Arrival:
    """A logged event on its way through an engine."""
    return Arrival(entry.event, entry.rank + 1, entry.rank, entry.offset)


class InMemory:
    """An engine whose states stay where they are."""

    def __init__(self, features: FeatureSet = FEATURES) -> None:
        self.engine = FeatureEngine(features)
        self.tables: Tables = self.engine.tables()
        self.arrivals: list[Arrival] = []

    def take(self, log: Sequence[LoggedEvent], by: Sequence[int] = (1_000,)) -> list[list[Any]]:
        """Take a log in batches; return the rows of its triggers."""
        return rows(map(self.batch, cut(log, by)))

    def batch(self, arrivals: list[Arrival]) -> list[Arrival]:
        """Take one batch."""
        self.engine.gather(arrivals)
        self.engine.advance(arrivals, self.tables)
        self.arrivals += arrivals
        return arrivals


class Stored:
    """An engine that keeps nothing: each batch reads a store, and writes by compare-and-set."""

    def __init__(self, store: Store | None = None, features: FeatureSet = FEATURES) -> None:
        self.engine = FeatureEngine(features)
        self.codecs = [StateCodec(view) for view in features.views]
        self.store = store or MemoryStore(features)
        self.new_version = unique_versions()
        self.conflicts = 0

    def take(self, log: Sequence[LoggedEvent], by: Sequence[int] = (1_000,)) -> list[list[Any]]:
        """Take a log in batches; return the rows of its triggers."""
        return rows(map(self.batch, cut(log, by)))

    def batch(self, arrivals: list[Arrival], tables: Tables | None = None) -> list[Arrival]:
        """Take one batch: read, advance, write, and reapply what another writer changed.

        `tables`: what was read at an earlier moment, instead of reading.
        """
        wanted = self.engine.gather(arrivals)
        if tables is None:
            tables = self.states(wanted)
        self.engine.advance(arrivals, tables, batch=1)
        ends = {a.source: a.offset for a in arrivals}
        progress = [Progress(source, -1, offset) for source, offset in ends.items()]
        writes = [
            self.packed(view, entity, state)
            for view, table in enumerate(tables)
            for entity, state in table.items()
            if state.batch == 1
        ]
        while lost := self.store.write(writes, progress):
            self.conflicts += len(lost)
            present = self.engine.tables()
            for write, packed in lost:
                codec = self.codecs[write.view]
                present[write.view][write.entity] = (
                    codec.unpack([packed])[0] if packed else self.engine.absent(write.view)
                )
            self.engine.reapply(arrivals, present)
            writes = [
                self.packed(write.view, write.entity, present[write.view][write.entity])
                for write, _ in lost
            ]
        return arrivals

    def states(self, wanted: Sequence[Iterable[str]]) -> Tables:
        """The wanted states that the store has."""
        found = self.store.read([set(keys) for keys in wanted])
        return [
            dict(
                zip(
                    [entity for entity, _ in pairs],
                    codec.unpack([packed for _, packed in pairs]),
                    strict=True,
                )
            )
            for codec, pairs in zip(self.codecs, found, strict=True)
        ]

    def packed(self, view: int, entity: str, state: EntityState) -> StateWrite:
        """A state's write, under its next version."""
        expected = state.version
        state.version = self.new_version()
        return StateWrite(view, entity, expected, self.codecs[view].pack(state))


def rows(batches: Iterable[list[Arrival]]) -> list[list[Any]]:
    """The rows of the triggers in batches, in order."""
    return [a.row for batch in batches for a in batch if a.row is not None]


def bits(value: Any) -> Any:
    """A value to compare bit for bit, NaN included; rows and tables of values likewise."""
    if isinstance(value, float):
        return struct.pack("<d", value)
    if isinstance(value, dict):
        return {key: bits(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [bits(each) for each in value]
    return value


def contents(tables: Tables) -> list[dict[str, Any]]:
    """All that tables hold, as plain data; versions are left out, they count writes."""
    return [
        {
            entity: [
                s.count,
                s.digest & MASK,
                s.newest,
                dict(sorted(s.fences.items())),
                list(s.values),
            ]
            for entity, s in table.items()
        }
        for table in tables
    ]


def assert_same_states(one: Tables, other: Tables) -> None:
    """Counts, digests, fences, last values and rings are equal; decayed sums within 1e-9."""
    for view, left, right in zip(FEATURES.views, contents(one), contents(other), strict=True):
        assert left.keys() == right.keys()
        for entity, (*account, values) in left.items():
            *other_account, other_values = right[entity]
            assert account == other_account
            if isinstance(view.state, DecayedSums):
                assert values[0] == other_values[0]
                for a, b in zip(values[1:], other_values[1:], strict=True):
                    assert math.isclose(a, b, rel_tol=1e-9)
            else:
                assert bits(values) == bits(other_values)


def reference_hash(source: int, offset: int) -> int:
    """What `account_hashes` must give, in plain integers: splitmix64's finalizer."""
    x = (source * 0x9E3779B97F4A7C15) & MASK
    x ^= (offset + 0xD1B54A32D192ED03) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)
