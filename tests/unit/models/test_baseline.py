"""Baselines: bins, shares and what is missing."""

import numpy as np
import pytest

from stream_app.features.model_version.baseline import Categories, Quantiles, measure_baseline


def quantiles(values: object, bins: int = 10) -> Quantiles:
    """The distribution of one column."""
    found = measure_baseline({"x": np.asarray(values)}, {}, bins=bins).columns["x"]
    assert isinstance(found, Quantiles)
    return found


def test_even_bins() -> None:
    """Distinct values fall into bins of equal shares, edges being values that occurred."""
    found = quantiles(np.arange(1.0, 101.0), bins=4)
    assert found.edges == (25.0, 50.0, 75.0)
    assert found.shares == (0.25, 0.25, 0.25, 0.25)
    assert found.missing == 0.0


def test_repeated_values_share_a_bin() -> None:
    """A column of few values has few bins, each value wholly in one."""
    found = quantiles([0.0] * 80 + [1.0] * 15 + [2.0] * 5)
    assert found.edges == (0.0, 1.0)
    assert found.shares == (0.8, 0.15, 0.05)


def test_missing_values() -> None:
    """Shares and the missing share sum to one."""
    found = quantiles([np.nan] * 25 + list(range(75)), bins=5)
    assert found.missing == 0.25
    assert sum(found.shares) + found.missing == pytest.approx(1.0)


@pytest.mark.parametrize("values", [[np.nan] * 3, [7.0] * 3])
def test_nothing_to_cut(values: list[float]) -> None:
    """A constant or a wholly missing column has one bin."""
    found = quantiles(values)
    assert found.edges == ()
    assert found.shares == (1.0 - found.missing,)


def test_shares_are_where_searchsorted_puts_them() -> None:
    """Whoever counts drift with searchsorted finds the baseline's own shares again."""
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32)
    found = quantiles(values)
    counts = np.bincount(np.searchsorted(found.edges, values, side="left"), minlength=10)
    assert tuple(counts / 1000) == found.shares


def test_categories() -> None:
    """The most frequent strings are listed, ties by name; the rest is one share."""
    values = ["b", "b", "a", "a", "c", "d", "b", "e"]
    found = measure_baseline({"s": values}, {}, categories=3).columns["s"]
    assert found == Categories(shares={"b": 0.375, "a": 0.25, "c": 0.125}, other=0.25)


def test_wide_outputs() -> None:
    """An output of several numbers a row has a distribution for each."""
    found = measure_baseline(
        {"x": [1.0, 2.0]}, {"score": [0.1, 0.2], "p": [[0.1, 0.9], [0.2, 0.8]]}
    )
    assert list(found.outputs) == ["score", "p[0]", "p[1]"]
    assert found.rows == 2


def test_lengths_differ() -> None:
    """Columns of different lengths are a mistake."""
    with pytest.raises(ValueError, match=r"one length, these have \[1, 2\]"):
        measure_baseline({"x": [1.0]}, {"score": [0.1, 0.2]})
