"""Every kind of state, with updates that it takes and the columns that it is read by."""

from dataclasses import dataclass

from hypothesis import strategies as st

from stream_app.features.kinds import (
    DecayedMoments,
    DecayedShare,
    DecayedSums,
    Distinct,
    DistinctEver,
    Extremes,
    LastN,
    LastText,
    LastValue,
    OpenItems,
    Read,
    State,
    Update,
    Values,
    Windows,
)

__all__ = ["CASES", "Case", "after"]


def after(kind: State, *updates: Update) -> Values:
    """The state after updates, each of rank 0 and the next offset."""
    state = kind.empty()
    for offset, update in enumerate(updates):
        kind.apply(state, update, 0, offset)
    return state


@dataclass(frozen=True)
class Case:
    """A kind, what updates it, and what reads it."""

    kind: State
    updates: st.SearchStrategy[Update]
    reads: list[Read]


# Few different ones, so that they are equal now and then; late ones, and far apart.
_times = st.one_of(
    st.integers(-50, 50).map(lambda halves: halves / 2.0), st.floats(-1e4, 1e6), st.integers(0, 100)
)
# Amounts of one sign: where sums cancel, no relative error can be promised.
_amounts = st.integers(0, 5) | st.floats(0, 1e6)
_values = st.integers(-5, 5) | st.floats(-1e6, 1e6)
_or_none = st.none() | _values
_names = st.sampled_from(["a", "b", "ä", ""]) | st.text(max_size=4)

_SUMS = DecayedSums(100.0, ("amount",))
_MOMENTS = DecayedMoments(100.0, ("left", "right"))
_SHARE = DecayedShare(100.0)
_LAST = LastValue(("left", "right"))
_TEXT = LastText(("left", "right"), max_bytes=16)
_LAST_N = LastN(3, ("left", "right"))
_EXTREMES = Extremes(("left", "right"))
_RING = OpenItems(horizon_seconds=9.0, slot_seconds=1.0)
_WINDOWS = Windows(10.0, slots=5, sums=("amount",), extremes=("amount", "value"))
_DISTINCT = Distinct(20.0, cells=8)
_EVER = DistinctEver(registers=16)

CASES = [
    Case(_SUMS, st.tuples(_times, _amounts), [_SUMS.count(), _SUMS.mean("amount"), _SUMS.age()]),
    Case(
        _MOMENTS,
        st.tuples(_times, _values, st.floats(1e9, 1e9 + 5)),
        [
            _MOMENTS.count(), _MOMENTS.mean("left"), _MOMENTS.variance("left"),
            _MOMENTS.deviation("right"), _MOMENTS.age(),
        ],
    ),
    Case(
        _SHARE,
        st.tuples(_times, _amounts | st.booleans(), _amounts),
        [_SHARE.share(), _SHARE.whole(), _SHARE.age()],
    ),
    Case(_LAST, st.tuples(_times, _or_none, _or_none), [_LAST.value("left"), _LAST.age()]),
    Case(
        _TEXT,
        st.tuples(_times, st.none() | _names, st.none() | _names),
        [_TEXT.value("left"), _TEXT.value("right"), _TEXT.age()],
    ),
    Case(
        _LAST_N,
        st.tuples(_times, _or_none, _or_none),
        [
            _LAST_N.value("left"), _LAST_N.previous("right"), _LAST_N.nth("left", 2),
            _LAST_N.mean("left"), _LAST_N.minimum("left"), _LAST_N.maximum("right"),
            _LAST_N.count(), _LAST_N.age(), _LAST_N.age(2),
        ],
    ),
    Case(
        _EXTREMES,
        st.tuples(_times, _or_none, _or_none),
        [_EXTREMES.minimum("left"), _EXTREMES.maximum("right"), _EXTREMES.age()],
    ),
    Case(_RING, st.tuples(_times, st.sampled_from([1, -1])), [_RING.overdue(5.0)]),
    Case(
        _WINDOWS,
        st.tuples(_times, _amounts, _values),
        [
            _WINDOWS.count(), _WINDOWS.count(2.0, ago=4.0), _WINDOWS.sum("amount"),
            _WINDOWS.mean("amount", 4.0), _WINDOWS.minimum("amount"), _WINDOWS.maximum("value"),
        ],
    ),
    Case(_DISTINCT, st.tuples(_times, _names | st.integers()), [_DISTINCT.count()]),
    Case(_EVER, st.tuples(_times, _names | st.integers()), [_EVER.count()]),
]  # fmt: skip
