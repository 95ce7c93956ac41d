"""Fitted models of other libraries are exported with the settings that serve."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_app.training.encoding import fit_one_hot
from stream_app.training.errors import PackageError
from stream_app.training.make_matrix import make_matrix
from stream_app.training.matrix import Matrix
from stream_app.training.package import package
from stream_app.training.report import Packaged
from tests.unit.training.shop import log, make_usecase

pytestmark = pytest.mark.filterwarnings("ignore")

ANY = make_usecase(answer=lambda event, row, outputs, decision: {"probability": 0.5})


@pytest.fixture(scope="module")
def plain() -> tuple[Matrix, Matrix]:
    """Rows to train on and to test with."""
    return make_matrix(ANY, list(log(900))).split(share=0.7)


@pytest.fixture(scope="module")
def encoded(plain: tuple[Matrix, Matrix]) -> tuple[Matrix, Matrix]:
    """The same with numbers for countries."""
    one = fit_one_hot(plain[0], "country")
    return plain[0].encode(one), plain[1].encode(one)


def packaged(folder: Path, model: Any, rows: tuple[Matrix, Matrix]) -> Packaged:
    """Package a model and return the report; graph and model agree."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        done = package(folder / "1", ANY, model, rows[0], test=rows[1])
    assert done.parity is not None
    assert done.parity.largest < 1e-5
    assert done.parity.rows == len(rows[1])
    return done


def outputs(done: Packaged) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and shape of each output, by name."""
    return {o.name: (o.dtype, o.shape) for o in done.manifest.outputs}


def three(rows: Matrix) -> np.ndarray:
    """A label of three classes."""
    return np.array(["high", "low", "mid"])[np.digitize(rows.columns["amount"], [20, 60])]


class TestScikitLearn:
    """Estimators and pipelines."""

    def test_two_classes_give_a_probability(self, tmp_path: Path, encoded: Any) -> None:
        """Of the second class; rounded where the last bits vary with the batch."""
        from sklearn.impute import SimpleImputer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
        model.fit(encoded[0].array(), encoded[0].labels)
        done = packaged(tmp_path, model, encoded)
        assert outputs(done) == {"probability": ("float32", ())}
        (tensor,) = done.manifest.inputs
        assert tensor.columns == tuple(encoded[0].columns)
        assert "country" in done.manifest.encodings

    def test_more_classes_give_label_and_probabilities(self, tmp_path: Path, encoded: Any) -> None:
        """Named as scikit-learn's converter names them; the label may be text."""
        from sklearn.ensemble import RandomForestClassifier

        model = RandomForestClassifier(5, random_state=0).fit(
            np.nan_to_num(encoded[0].array()), three(encoded[0])
        )
        rows = encoded[0].take(_whole(encoded[0])), encoded[1].take(_whole(encoded[1]))
        done = packaged(tmp_path, model, rows)
        assert outputs(done) == {"label": ("string", ()), "probabilities": ("float32", (3,))}

    def test_a_regression_gives_a_prediction(self, tmp_path: Path, encoded: Any) -> None:
        """One number a row."""
        from sklearn.ensemble import HistGradientBoostingRegressor

        model = HistGradientBoostingRegressor(max_iter=5)
        model.fit(encoded[0].array(), encoded[0].labels)
        assert outputs(packaged(tmp_path, model, encoded)) == {"prediction": ("float32", ())}

    def test_a_pipeline_over_one_column_of_text(self, tmp_path: Path, plain: Any) -> None:
        """Which takes the texts themselves."""
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.pipeline import make_pipeline

        model = make_pipeline(
            CountVectorizer(lowercase=False, token_pattern="[A-Z]+"),
            RandomForestClassifier(5, random_state=0),
        )
        train, test = (rows.only("country") for rows in plain)
        model.fit(train.columns["country"], train.labels)
        done = packaged(tmp_path, model, (train, test))
        assert [(t.name, t.dtype) for t in done.manifest.inputs] == [("country", "string")]

    def test_another_number_of_columns_is_explained(self, tmp_path: Path, encoded: Any) -> None:
        """With what the matrix has."""
        from sklearn.linear_model import LinearRegression

        model = LinearRegression().fit(np.ones((5, 2)), np.ones(5))
        with pytest.raises(
            PackageError, match=r"fitted on 2 numbers a row, the matrix has 9: mean_"
        ):
            package(tmp_path / "1", ANY, model, encoded[0])


def _whole(rows: Matrix) -> Any:
    """Rows without a missing number."""
    return ~np.isnan(rows.array()).any(axis=1)


class TestLightGBM:
    """Boosters, and models of its scikit-learn interface."""

    @pytest.mark.parametrize(
        ("objective", "expected"),
        [
            ("binary", {"probability": ("float32", ())}),
            ("multiclass", {"probabilities": ("float32", (3,))}),
            ("regression", {"prediction": ("float32", ())}),
            ("poisson", {"prediction": ("float32", ())}),
        ],
    )
    def test_each_objective(
        self, tmp_path: Path, encoded: Any, objective: str, expected: Any
    ) -> None:
        """By the answer it gives."""
        lightgbm = pytest.importorskip("lightgbm", exc_type=ImportError)
        labels = encoded[0].labels
        more = {}
        if objective == "multiclass":
            labels, more = np.digitize(encoded[0].columns["amount"], [20, 60]), {"num_class": 3}
        parameters = {"objective": objective, "verbosity": -1, "num_threads": 1, **more}
        data = lightgbm.Dataset(encoded[0].array(), labels)
        booster = lightgbm.train(parameters, data, 5)
        assert outputs(packaged(tmp_path, booster, encoded)) == expected

    def test_an_objective_without_a_form_in_onnx_is_told(
        self, tmp_path: Path, encoded: Any
    ) -> None:
        """In a sentence, before anything is written."""
        lightgbm = pytest.importorskip("lightgbm", exc_type=ImportError)
        parameters = {"objective": "cross_entropy", "verbosity": -1, "num_threads": 1}
        data = lightgbm.Dataset(encoded[0].array(), encoded[0].labels)
        booster = lightgbm.train(parameters, data, 2)
        with pytest.raises(PackageError, match="the booster has no form in ONNX"):
            package(tmp_path / "1", ANY, booster, encoded[0])


class TestXGBoost:
    """Boosters, and models of its scikit-learn interface."""

    def test_each_objective(self, tmp_path: Path, encoded: Any) -> None:
        """By the answer it gives; features are matched by name where they have one."""
        xgboost = pytest.importorskip("xgboost")
        train = encoded[0]
        two = xgboost.XGBClassifier(n_estimators=5).fit(train.frame(), train.labels)
        assert outputs(packaged(tmp_path / "two", two, encoded)) == {"probability": ("float32", ())}
        one = xgboost.XGBRegressor(n_estimators=5).fit(train.array(), train.labels)
        assert outputs(packaged(tmp_path / "one", one, encoded)) == {"prediction": ("float32", ())}
        classes = np.digitize(train.columns["amount"], [20, 60])
        more = xgboost.XGBClassifier(n_estimators=5).fit(train.array(), classes)
        found = outputs(packaged(tmp_path / "more", more, encoded))
        assert found == {"probabilities": ("float32", (3,))}
