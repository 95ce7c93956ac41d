"""The last N updates: their order, and what is read of them."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.kinds import LastN
from tests.unit.features.builders import bits, examples
from tests.unit.features.kinds.every import after

KIND = LastN(3, ("amount",))


@examples
@given(
    st.lists(
        st.tuples(st.integers(0, 5).map(float), st.none() | st.integers(-9, 9), st.integers(0, 2)),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_reads_are_those_of_the_list_of_all_updates(updates: list[Any], random: Any) -> None:
    """The greatest by time, rank and offset, whatever order they come in."""
    placed = [(time, rank, offset, value) for offset, (time, value, rank) in enumerate(updates)]
    newest = sorted(placed, key=lambda place: place[:3], reverse=True)[:3]
    random.shuffle(placed)
    state = KIND.empty()
    for time, rank, offset, value in placed:
        KIND.apply(state, (time, value), rank, offset)
    at = 10.0
    values = [math.nan if value is None else float(value) for *_, value in newest]
    known = [value for value in values if not math.isnan(value)]
    padded = values + [math.nan] * (3 - len(values))
    assert bits([KIND.nth("amount", n)(state, at) for n in range(3)]) == bits(padded)
    assert bits(KIND.previous("amount")(state, at)) == bits(padded[1])
    assert KIND.count()(state, at) == len(newest)
    ages = [at - time for time, *_ in newest] + [math.nan] * (3 - len(newest))
    assert bits([KIND.age(n)(state, at) for n in range(3)]) == bits(ages)
    expected = [sum(known) / len(known), min(known), max(known)] if known else [math.nan] * 3
    reads = KIND.mean("amount"), KIND.minimum("amount"), KIND.maximum("amount")
    assert bits([read(state, at) for read in reads]) == bits(expected)


def test_an_update_older_than_all_that_are_kept_changes_nothing() -> None:
    """Its place is behind the last one."""
    state = after(KIND, *((float(time), 1.0) for time in (1, 2, 3)))
    before = bits(state)
    KIND.apply(state, (0.5, 9.0), 9, 9)
    assert bits(state) == before


def test_nothing_known() -> None:
    """Values and ages are missing, the count is 0; an age is never negative."""
    assert math.isnan(KIND.value("amount")(None, 1.0))
    assert math.isnan(KIND.mean("amount")(None, 1.0))
    assert math.isnan(KIND.age()(None, 1.0))
    assert KIND.count()(None, 1.0) == 0.0
    assert KIND.age()(after(KIND, (5.0, 1.0)), 1.0) == 0.0


def test_an_update_that_is_not_kept_cannot_be_read() -> None:
    """It is refused where the column is declared."""
    with pytest.raises(ValueError, match="LastN keeps the updates 0 to 2, and 3 is none of them"):
        KIND.nth("amount", 3)
    with pytest.raises(ValueError, match="keeps the updates 0 to 0, and 1"):
        LastN(1, ("amount",)).previous("amount")
