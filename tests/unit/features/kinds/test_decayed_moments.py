"""Decayed moments: against exact arithmetic, and where sums of squares would fail."""

import math
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.kinds import DecayedMoments, Update
from tests.unit.features.builders import examples
from tests.unit.features.kinds.every import after

HALF_LIFE = 100.0
MOMENTS = DecayedMoments(HALF_LIFE, ("amount",))


def reference(updates: list[Update]) -> tuple[float, float, float]:
    """Weight, mean and variance of the list of all updates, with sixty digits."""
    with localcontext() as context:
        context.prec = 60
        newest = max(time for time, _ in updates)
        weights = [Decimal(2) ** ((Decimal(t) - Decimal(newest)) / 100) for t, _ in updates]
        values = [Decimal(value) for _, value in updates]
        total = sum(weights)
        pairs = list(zip(weights, values, strict=True))
        mean = sum(w * v for w, v in pairs) / total
        variance = sum(w * (v - mean) ** 2 for w, v in pairs) / total
        return float(total), float(mean), float(variance)


def found(updates: list[Update]) -> tuple[float, float, float]:
    """What the state reads, at the time of the newest update."""
    state = after(MOMENTS, *updates)
    at = max(time for time, _ in updates)
    reads = MOMENTS.count(), MOMENTS.mean("amount"), MOMENTS.variance("amount")
    weight, mean, variance = (read(state, at) for read in reads)
    return weight, mean, variance


@examples
@given(
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(-1_000, 1_000)), min_size=1, max_size=30),
    st.sampled_from([0.0, 1.0, 1e6, 1e9, -1e9]),
    st.sampled_from([1.0, 0.125, 1e-3]),
)
def test_moments_are_those_of_the_list_of_all_updates(
    drawn: list[tuple[int, int]], mean: float, step: float
) -> None:
    """Weight, mean and variance within 1e-9, whatever the mean is and whatever comes late."""
    updates = [(float(time), mean + value * step) for time, value in drawn]
    expected = reference(updates)
    assert found(updates) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_deviation_of_one_at_a_mean_of_a_billion() -> None:
    """Where the mean of the squares less the square of the mean has no digit left."""
    state = after(MOMENTS, *((0.0, 1e9 + (-1) ** n) for n in range(10_000)))
    assert MOMENTS.deviation("amount")(state, 0.0) == pytest.approx(1.0, rel=1e-12)
    assert MOMENTS.mean("amount")(state, 0.0) == 1e9


def test_a_huge_value_that_has_decayed_leaves_no_error_behind() -> None:
    """Nothing of its size is left in the mean and the deviation of what came after it."""
    updates = [(0.0, 1e15), (1e5, 1.3), (1e5, 1.5)]
    assert found(updates) == pytest.approx((2.0, 1.4, 0.01), rel=1e-9)
    assert found(updates[::-1]) == pytest.approx((2.0, 1.4, 0.01), rel=1e-9)


def test_a_single_value_does_not_deviate() -> None:
    """The variance is that of what was seen."""
    state = after(MOMENTS, (0.0, 7.0))
    assert MOMENTS.variance("amount")(state, 50.0) == 0.0
    assert MOMENTS.deviation("amount")(state, 50.0) == 0.0


def test_decay_cancels_out_of_all_but_the_count() -> None:
    """A later read changes the count and the age alone."""
    state = after(MOMENTS, (0.0, 6.0), (0.0, 8.0))
    reads = (
        MOMENTS.count(), MOMENTS.mean("amount"), MOMENTS.deviation("amount"), MOMENTS.age(),
    )  # fmt: skip
    assert [read(state, HALF_LIFE) for read in reads] == [1.0, 7.0, 1.0, HALF_LIFE]


def test_nothing_known() -> None:
    """An absent state counts 0; all else is missing."""
    assert MOMENTS.count()(None, 1.0) == 0.0
    for read in (MOMENTS.mean("amount"), MOMENTS.variance("amount"), MOMENTS.deviation("amount")):
        assert math.isnan(read(None, 1.0))
        assert math.isnan(read(MOMENTS.empty(), 1.0))


def test_states_of_the_same_updates_agree_though_their_means_lie_close_to_zero() -> None:
    """Rounding is of the size of the values, of which nothing may be left in a mean."""
    left, right = after(MOMENTS, (0.0, 1e6), (0.0, -1e6)), after(MOMENTS, (0.0, -1e6), (0.0, 1e6))
    assert MOMENTS.agrees([*left[:2], 1e-4, *left[3:]], right)
    assert not MOMENTS.agrees([*left[:2], 1e-2, *left[3:]], right)
    assert not MOMENTS.agrees([*left[:4], left[4] * (1 + 1e-8)], right)
    assert not MOMENTS.agrees([1.0, *left[1:]], right)
    assert MOMENTS.agrees([*left[:3], 1e-12, left[4]], right)
    assert MOMENTS.agrees(MOMENTS.empty(), MOMENTS.empty())
