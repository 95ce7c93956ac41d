"""Training computes what serving computes, and the same each time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from features.flights import usecase
from features.flights.clock import local_midnight
from features.flights.data.year import DECEMBER
from features.flights.training.matrix import Matrix, build_matrix
from stream_app.features.events import Event

try:
    import lightgbm  # noqa: F401
except (ImportError, OSError) as error:  # OSError: Debian's libgomp1 is not there
    pytest.skip(f"LightGBM cannot be loaded: {error}", allow_module_level=True)

from features.flights.training.graph import Encoding
from features.flights.training.train import Trained, fit

DAY = 86_400.0
THRESHOLD_FROM = local_midnight(DECEMBER) + 2 * DAY


@pytest.fixture(scope="module")
def rows(three_days: list[Event]) -> Matrix:
    """The labelled rows of three days."""
    matrix = build_matrix(usecase, three_days)
    return matrix.take(~np.isnan(matrix.labels))


@pytest.fixture(scope="module")
def trained(rows: Matrix) -> Trained:
    """A small model of them; fitting fails if graph and LightGBM differ."""
    return fit(rows, THRESHOLD_FROM, trees=10)


def test_the_same_rows_give_the_same_bytes(rows: Matrix, trained: Trained) -> None:
    """Training is reproducible to the byte."""
    assert fit(rows, THRESHOLD_FROM, trees=10).graph == trained.graph


def test_labels_are_joined_only_where_an_arrival_tells(rows: Matrix) -> None:
    """Labels are 0 or 1; rows without an arrival have none."""
    assert set(np.unique(rows.labels)) == {0.0, 1.0}


def test_a_category_never_seen_gives_the_general_mean(rows: Matrix, trained: Trained) -> None:
    """Unseen strings all give one finite score: the one of the declared value."""
    some = rows.take(np.arange(len(rows.labels)) < 50)
    scores = []
    for name in ("ZZ", "", "\N{SNOWMAN}"):
        strings = np.full_like(some.strings, name)
        unseen = Matrix(
            some.times,
            some.numbers,
            some.number_columns,
            strings,
            some.string_columns,
            some.labels,
        )
        scores.append(trained.score(unseen))
    assert np.isfinite(scores[0]).all()
    assert (scores[0] == scores[1]).all()
    assert (scores[0] == scores[2]).all()


def test_every_number_may_be_missing(rows: Matrix, trained: Trained) -> None:
    """Without any state the graph still answers with a probability."""
    one = rows.take(np.arange(len(rows.labels)) < 5)
    blank = Matrix(
        one.times,
        np.full_like(one.numbers, math.nan),
        one.number_columns,
        one.strings,
        one.string_columns,
        one.labels,
    )
    scores = trained.score(blank)
    assert ((scores > 0) & (scores < 1)).all()


def test_encodings_shrink_towards_the_mean() -> None:
    """A rare category lies near the mean of all, a frequent one near its own."""
    column = np.array(["often"] * 1_000 + ["rare"], dtype=object)
    label = np.array([0.0] * 1_000 + [1.0])
    encoding = Encoding.target_mean(column, label, weight=50.0)
    assert encoding.unseen == pytest.approx(1 / 1_001)
    assert encoding.values["often"] < 1e-4
    assert encoding.values["rare"] == pytest.approx((1 + 50 / 1_001) / 51)
    assert encoding(np.array(["rare", "new"], dtype=object)).tolist() == [
        encoding.values["rare"],
        encoding.unseen,
    ]
