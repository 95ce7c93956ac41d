"""Last values: which update wins, and what is read."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.kinds import LastValue
from tests.unit.features.builders import bits, examples
from tests.unit.features.kinds.every import after

LAST = LastValue(("left", "right"))


def test_the_newest_time_wins_whole() -> None:
    """A newer update replaces all fields, those it does not give included."""
    state = after(LAST, (1.0, 10.0, 20.0), (2.0, 11.0, None))
    assert LAST.value("left")(state, 2.0) == 11.0
    assert math.isnan(LAST.value("right")(state, 2.0))


def test_an_older_update_changes_nothing() -> None:
    """Not even the fields that the newest update left open."""
    state = after(LAST, (2.0, 11.0, None))
    before = bits(state)
    LAST.apply(state, (1.0, 10.0, 20.0), 9, 9)
    assert bits(state) == before


def test_partial_updates_of_one_time_unite_field_by_field() -> None:
    """Two halves of one moment make a whole."""
    state = after(LAST, (2.0, 11.0, None), (2.0, None, 21.0))
    assert [LAST.value(name)(state, 2.0) for name in LAST.fields] == [11.0, 21.0]


@pytest.mark.parametrize(
    ("winner", "loser"),
    [((1, 0), (0, 9)), ((1, 5), (1, 4))],
    ids=["the greater rank", "the greater offset of one rank"],
)
def test_ties_of_time(winner: tuple[int, int], loser: tuple[int, int]) -> None:
    """Rank decides, then the offset; which came first does not."""
    for order in ([winner, loser], [loser, winner]):
        state = LAST.empty()
        for place in order:
            LAST.apply(state, (2.0, 1.0 if place == winner else 0.0, None), *place)
        assert LAST.value("left")(state, 2.0) == 1.0


def test_nothing_known() -> None:
    """Values and age of an absent state are missing; an age is never negative."""
    assert math.isnan(LAST.value("left")(None, 1.0))
    assert math.isnan(LAST.age()(None, 1.0))
    assert LAST.age()(after(LAST, (5.0, 1.0, 1.0)), 1.0) == 0.0


@examples
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3).map(float),
            st.none() | st.integers(0, 5).map(float),
            st.none() | st.integers(0, 5).map(float),
            st.integers(0, 2),
        ),
        max_size=15,
    ),
    st.randoms(use_true_random=False),
)
def test_any_order_gives_the_same_values(updates: list[Any], random: Any) -> None:
    """For each field the greatest (time, rank, offset) that gives it, of the newest time."""
    placed = [(update[:3], update[3], offset) for offset, update in enumerate(updates)]
    random.shuffle(placed)
    state = LAST.empty()
    for update, rank, offset in placed:
        LAST.apply(state, update, rank, offset)
    newest = max((update[0] for update, _, _ in placed), default=-math.inf)
    assert state[0] == newest
    for field, name in enumerate(LAST.fields, start=1):
        given = [
            (rank, offset, update[field])
            for update, rank, offset in placed
            if update[0] == newest and update[field] is not None
        ]
        expected = max(given)[2] if given else math.nan
        assert bits(LAST.value(name)(state, newest)) == bits(float(expected))
