"""Training computes what serving computes, and the same each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from features.flights import usecase
from features.flights.clock import local_midnight
from features.flights.data.year import DECEMBER
from features.flights.training.log import YearLog
from stream_app import Matrix, Packaged, make_matrix, package
from stream_app.features.model_version.folder import read_version
from stream_app.models import load_model

try:
    import lightgbm  # noqa: F401
except (ImportError, OSError) as error:  # OSError: Debian's libgomp1 is not there
    pytest.skip(f"LightGBM cannot be loaded: {error}", allow_module_level=True)

from features.flights.training.train import Fitted, fit

DAY = 86_400.0
THRESHOLD_FROM = local_midnight(DECEMBER) + 2 * DAY
_THREE_DAYS = 8_500


@pytest.fixture(scope="module")
def rows() -> Matrix:
    """The labelled rows of about three days."""
    return make_matrix(usecase, YearLog(DECEMBER, _THREE_DAYS)).labelled()


@pytest.fixture(scope="module")
def fitted(rows: Matrix) -> Fitted:
    """A small model of them."""
    return fit(rows, THRESHOLD_FROM, trees=10)[0]


@pytest.fixture(scope="module")
def packaged(rows: Matrix, fitted: Fitted, tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """Its version; packaging fails if graph and LightGBM differ."""
    return package(
        tmp_path_factory.mktemp("flights") / "champion-1",
        usecase,
        fitted.booster,
        fitted.encoded(rows),
        outputs={"probability": "score"},
        decision={"threshold": 0.3},
    )


def test_the_same_rows_give_the_same_trees(rows: Matrix, fitted: Fitted) -> None:
    """Training is reproducible to the byte, its threshold too."""
    again, threshold = fit(rows, THRESHOLD_FROM, trees=10)
    assert again.booster.model_to_string() == fitted.booster.model_to_string()
    assert again.encodings == fitted.encodings
    assert threshold == fit(rows, THRESHOLD_FROM, trees=10)[1]


def test_labels_are_joined_only_where_an_arrival_tells(rows: Matrix) -> None:
    """Labels are 0 or 1; rows without an arrival have none."""
    assert set(np.unique(rows.labels)) == {0.0, 1.0}


def test_the_version_scores_as_the_booster_does(
    rows: Matrix, fitted: Fitted, packaged: Packaged
) -> None:
    """From rows of Python values, categories as texts, as serving has them."""
    model = load_model(packaged.folder, usecase.features, usecase.topics)
    some = rows.take(np.arange(300))
    columns = [some.columns[name].tolist() for name in usecase.features.columns]
    scores = model.score([list(row) for row in zip(*columns, strict=True)])["score"]
    assert np.abs(scores - fitted.score(some)).max() < 1e-6


def test_a_category_never_seen_gives_the_general_mean(fitted: Fitted, packaged: Packaged) -> None:
    """And a version's golden vectors hold one of each category, and one of nothing known."""
    for column, encoding in fitted.encodings:
        assert encoding.unseen == pytest.approx(fitted.encodings[0][1].unseen)
        assert column in ("carrier", "origin", "destination", "route")
    cases = {vector.case: vector for vector in read_version(packaged.folder).golden}
    for case in ("every number missing", "every text unseen", "nothing known"):
        score = cases[case].outputs["score"]
        assert isinstance(score, float)
        assert 0.0 < score < 1.0


def test_golden_events_reach_every_branch_of_the_declaration(packaged: Packaged) -> None:
    """Three days of flights are enough for that."""
    assert packaged.unreached == ()
    assert packaged.golden_events < 400


def test_a_version_that_is_served_is_never_written_over(
    rows: Matrix, fitted: Fitted, packaged: Packaged
) -> None:
    """A new one gets the next number."""
    before = {path.name: path.read_bytes() for path in packaged.folder.iterdir()}
    new = package(
        packaged.folder,
        usecase,
        fitted.booster,
        fitted.encoded(rows),
        outputs={"probability": "score"},
        decision={"threshold": 0.4},
        renumber=True,
    )
    assert new.folder == Path(packaged.folder).with_name("champion-2")
    assert {path.name: path.read_bytes() for path in packaged.folder.iterdir()} == before
