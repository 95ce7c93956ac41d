"""Windows: counts, sums and extremes by slots of time."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.engine.engine import EntityState
from stream_app.features.kinds import StateOverflowError, Update, Windows
from stream_app.features.kinds.contract import InvalidUpdateError
from stream_app.features.stores.codec import StateCodec
from stream_app.features.views import Entity, View
from tests.unit.features.builders import bits, examples
from tests.unit.features.kinds.every import after

#: Five slots of two seconds, and the spare one.
KIND = Windows(10.0, slots=5, sums=("amount",), extremes=("value",))


def within(updates: list[Update], at: float, seconds: float, ago: float) -> list[Update]:
    """What is in a window, from the list of all updates."""
    last = math.floor(at / 2.0) - int(ago / 2.0)
    newest = max((math.floor(update[0] / 2.0) for update in updates), default=0)
    slots = range(max(last - int(seconds / 2.0), newest - 6) + 1, last + 1)
    return [update for update in updates if math.floor(update[0] / 2.0) in slots]


@examples
@given(
    st.lists(
        st.tuples(
            st.integers(-40, 40).map(lambda n: n / 2.0), st.integers(0, 9), st.integers(-9, 9)
        ),
        max_size=20,
    ),
    st.integers(-45, 60).map(lambda n: n / 2.0),
    st.sampled_from([(10.0, 0.0), (2.0, 0.0), (4.0, 2.0), (2.0, 8.0), (6.0, 4.0)]),
)
def test_windows_are_those_of_the_list_of_all_updates(
    updates: list[Any], at: float, window: tuple[float, float]
) -> None:
    """At any moment before, within and after the ring, of any length that it keeps."""
    seconds, ago = window
    inside = within(updates, at, seconds, ago)
    state = after(KIND, *updates) if updates else None
    amounts, values = [float(u[1]) for u in inside], [float(u[2]) for u in inside]
    expected = [
        float(len(inside)),
        sum(amounts),
        sum(amounts) / len(amounts) if inside else math.nan,
        min(values, default=math.nan),
        max(values, default=math.nan),
    ]
    reads = (
        KIND.count(seconds, ago=ago), KIND.sum("amount", seconds, ago=ago),
        KIND.mean("amount", seconds, ago=ago), KIND.minimum("value", seconds, ago=ago),
        KIND.maximum("value", seconds, ago=ago),
    )  # fmt: skip
    assert bits([float(read(state, at)) for read in reads]) == bits([float(e) for e in expected])


def test_a_window_of_one_slot_is_tumbling() -> None:
    """Since the slot began; the one before is that of a slot ago."""
    day = 86_400.0
    kind = Windows(2 * day, slots=2)
    state = after(kind, (0.5 * day,), (1.1 * day,), (1.2 * day,))
    assert [kind.count(day)(state, at * day) for at in (0.9, 1.0, 1.9, 2.0)] == [1, 2, 2, 0]
    assert kind.count(day, ago=day)(state, 1.9 * day) == 1.0


def test_a_sliding_window_ends_with_the_slot_of_the_moment() -> None:
    """It covers between one slot less than it says and all of it."""
    state = after(KIND, (0.0, 1.0, 1.0))
    count = KIND.count(10.0)
    assert [count(state, at) for at in (0.0, 9.9, 10.0)] == [1.0, 1.0, 0.0]


def test_a_value_of_a_sum_and_an_extreme_is_given_once() -> None:
    """Fields are the names of both."""
    kind = Windows(10.0, slots=5, sums=("amount", "fee"), extremes=("amount", "risk"))
    assert kind.fields == ("amount", "fee", "risk")
    state = after(kind, (0.0, 5.0, 1.0, 0.5), (1.0, 3.0, 2.0, 0.25))
    reads = kind.sum("amount"), kind.maximum("amount"), kind.sum("fee"), kind.minimum("risk")
    assert [read(state, 1.0) for read in reads] == [8.0, 5.0, 3.0, 0.25]


@pytest.mark.parametrize(
    ("seconds", "ago", "message"),
    [
        (3.0, 0.0, "3 seconds are not a whole number of slots of 2 seconds"),
        (12.0, 0.0, "Windows keeps 10 seconds"),
        (6.0, 6.0, "a window of 6 seconds that ended 6 seconds ago is not within them"),
        (0.0, 0.0, "a window of 0 seconds"),
    ],
)
def test_a_window_that_is_not_kept_cannot_be_read(seconds: float, ago: float, message: str) -> None:
    """It is refused where the column is declared, with what there is."""
    with pytest.raises(ValueError, match=message):
        KIND.count(seconds, ago=ago)


def test_an_empty_window_has_no_extremes() -> None:
    """They are missing; a value that could be taken for no value is refused."""
    for state in (None, KIND.empty(), after(KIND, (100.0, 1.0, 5.0))):
        assert math.isnan(KIND.minimum("value")(state, 50.0))
        assert math.isnan(KIND.maximum("value")(state, 50.0))
    with pytest.raises(ValueError, match=r"not within 1e\+300 of zero"):
        KIND.check([(0.0, 1.0, -1e300)])
    Windows(10.0, sums=("amount",)).check([(0.0, 1e300)])


@pytest.mark.parametrize("time", [1.3e308, -1.3e308, 2**62, -(2**62)])
def test_a_time_whose_slot_no_state_can_hold_is_refused(time: float) -> None:
    """It has no slot, or one whose number takes more than 64 bits."""
    windows = Windows(4.2, slots=6)
    with pytest.raises(InvalidUpdateError, match="the time of an update is not within"):
        windows.check([(0.0,), None, (time,)])
    windows.check([(1e18,), (-1e18,)])


def test_what_its_packed_form_cannot_hold_overflows() -> None:
    """A slot of more than 2**32 updates; and a sum that is not finite, by `sums_up`."""
    codec = StateCodec(View(name="v", entity=Entity("e", str), state=KIND, on={}, columns=()))
    state = KIND.empty()
    codec.pack(EntityState(1, 1, 1, 0.0, state))
    assert KIND.sums_up
    assert math.isfinite(sum(state))
    state[1] = 2**32
    with pytest.raises(StateOverflowError):
        codec.pack(EntityState(1, 1, 1, 0.0, state))
