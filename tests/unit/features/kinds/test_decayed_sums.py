"""Decayed sums: half-lives, lateness, and what is read."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.kinds import DecayedSums, Update
from tests.unit.features.builders import examples
from tests.unit.features.kinds.every import after

HALF_LIFE = 100.0
SUMS = DecayedSums(HALF_LIFE, ("amount",))


def test_a_half_life_halves_count_and_sums() -> None:
    """An update one half-life later leaves half of the first, and itself."""
    assert after(SUMS, (0.0, 8.0), (HALF_LIFE, 1.0)) == [HALF_LIFE, 1.5, 5.0]


def test_a_late_update_decays_its_addend() -> None:
    """What comes late is weighed down by its age; the state keeps its time and its weight."""
    assert after(SUMS, (HALF_LIFE, 1.0), (0.0, 8.0)) == [HALF_LIFE, 1.5, 5.0]


def test_a_read_before_its_time_uses_age_zero() -> None:
    """A read at an earlier moment than the newest update does not blow the count up."""
    state = after(SUMS, (HALF_LIFE, 1.0))
    assert SUMS.count()(state, 0.0) == 1.0
    assert SUMS.age()(state, 0.0) == 0.0


def test_a_later_read_decays_the_count_and_not_the_mean() -> None:
    """Decay cancels out of a mean; the count and the age go on."""
    state = after(SUMS, (0.0, 8.0), (0.0, 4.0))
    assert SUMS.count()(state, HALF_LIFE) == 1.0
    assert SUMS.mean("amount")(state, HALF_LIFE) == 6.0
    assert SUMS.age()(state, HALF_LIFE) == HALF_LIFE


def test_nothing_known() -> None:
    """An absent state counts 0; its mean and age are missing."""
    assert SUMS.count()(None, 5.0) == 0.0
    assert math.isnan(SUMS.mean("amount")(None, 5.0))
    assert math.isnan(SUMS.age()(None, 5.0))


def test_reading_changes_nothing() -> None:
    """A state is the same before and after its columns were read."""
    state = after(SUMS, (0.0, 8.0))
    for read in (SUMS.count(), SUMS.mean("amount"), SUMS.age()):
        read(state, 1e6)
    assert state == [0.0, 1.0, 8.0]


@examples
@given(
    st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e6)), min_size=1, max_size=20),
    st.randoms(use_true_random=False),
)
def test_any_order_gives_the_same_sums(updates: list[Update], random: Any) -> None:
    """The sum over all updates, each decayed to the newest time, within 1e-9."""
    shuffled = updates.copy()
    random.shuffle(shuffled)
    newest = max(time for time, _ in updates)
    weights = [math.exp2((time - newest) / HALF_LIFE) for time, _ in updates]
    expected = [
        math.fsum(weights),
        math.fsum(w * amount for w, (_, amount) in zip(weights, updates, strict=True)),
    ]
    for order in (updates, shuffled):
        time, *sums = after(SUMS, *order)
        assert time == newest
        assert sums == pytest.approx(expected, rel=1e-9, abs=1e-300)
