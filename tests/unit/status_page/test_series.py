"""Figures over the last minutes: their memory, their gaps, their quantiles."""

import numpy as np
import pytest

from stream_app.status_page.series import STEPS, Series, quantiles


def last(series: Series, steps: int, until: int) -> list[float | None]:
    """The first column, None where it is unknown."""
    return [None if np.isnan(each) else each for each in series.last(steps, until)[:, 0].tolist()]


def test_steps_that_were_not_set_are_unknown() -> None:
    """A gap is no zero, and nothing was known before the first step."""
    series = Series()
    series.set(1_000, 1.0)
    series.set(1_003, 4.0)
    assert last(series, 6, 1_003) == [None, None, 1.0, None, None, 4.0]
    assert last(series, 3, 1_005) == [4.0, None, None]
    assert series.total(6, 1_003).tolist() == [5.0]


def test_the_memory_does_not_grow_and_what_is_old_is_forgotten() -> None:
    """Also after a pause that is longer than the history."""
    series = Series(2)
    for step in range(5 * STEPS):
        series.set(step, step, -step)
    assert series._values.shape == (STEPS, 2)
    assert last(series, 2, 5 * STEPS - 1) == [5 * STEPS - 2, 5 * STEPS - 1]
    assert last(series, 1, 4 * STEPS - 1) == [None]
    series.set(50 * STEPS, 7.0, 7.0)
    assert np.nansum(series.last(STEPS, 50 * STEPS)) == 14.0


def test_more_steps_than_are_kept_are_unknown_rather_than_told_twice() -> None:
    """What asks back further gets gaps."""
    series = Series()
    for step in range(2 * STEPS):
        series.set(step, 1.0)
    assert series.total(STEPS + 10, 2 * STEPS - 1).tolist() == [STEPS]


def told(counts: list[float], bounds: tuple[float, ...], *shares: float) -> list[float]:
    """Quantiles of one row."""
    return quantiles(np.array([counts]), bounds, shares)[0].tolist()


def test_quantiles_lie_within_the_bucket_that_holds_them() -> None:
    """Spread evenly within it; the highest bound stands for what is above all."""
    bounds = (1.0, 2.0, 10.0)
    assert told([10.0, 0.0, 0.0, 0.0], bounds, 0.5) == [0.5]
    assert told([50.0, 50.0, 0.0, 0.0], bounds, 0.5, 0.75) == [1.0, 1.5]
    assert told([0.0, 0.0, 0.0, 4.0], bounds, 0.5) == [10.0]
    nothing = quantiles(np.array([[0.0] * 4, [np.nan] * 4, [0.0, 2.0, 0.0, 0.0]]), bounds, [0.5])
    assert np.isnan(nothing[:2]).all()
    assert nothing[2].tolist() == [1.5]


def test_quantiles_of_a_sample_are_near_those_of_the_values() -> None:
    """As fine as the buckets are."""
    values = np.random.default_rng(1).exponential(0.1, 10_000)
    bounds = tuple(np.geomspace(0.001, 10.0, 60))
    counts = np.bincount(np.searchsorted(bounds, values), minlength=61).tolist()
    for share in (0.5, 0.9, 0.99):
        assert told(counts, bounds, share) == [pytest.approx(np.quantile(values, share), rel=0.05)]
