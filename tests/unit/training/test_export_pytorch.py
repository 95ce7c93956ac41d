"""Modules of PyTorch are exported with the settings that serve; ``make test-pytorch`` runs these.

PyTorch is in no lock file, for it brings 3 GB: elsewhere these skip.
"""

import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from stream_app.features.views import FeatureSet, RowFeature
from stream_app.models.errors import ModelRefusedError
from stream_app.testing import Sent, rehearse
from stream_app.training.encoding import fit_one_hot, fit_ordinal
from stream_app.training.errors import PackageError
from stream_app.training.make_matrix import make_matrix
from stream_app.training.matrix import Matrix
from stream_app.training.package import package
from stream_app.training.report import Packaged
from tests.unit.training.shop import FEATURES, Payment, log, make_usecase

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make test-pytorch")
pytest.importorskip("onnxscript", reason="the extra pytorch is not installed")

ANY = make_usecase(answer=lambda event, row, outputs, decision: {"probability": 0.5})

Rows = tuple[Matrix, Matrix]


def clean(x: Any) -> Any:
    """Numbers of the size of one, none missing."""
    return torch.nan_to_num(x) / 1000.0


class Perceptron(torch.nn.Module):  # type: ignore[misc, name-defined]
    """What a person brings: layers, a normalization and a dropout that differ in training."""

    def __init__(self, outputs: int = 1, width: int = 9) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(width, 16), torch.nn.BatchNorm1d(16), torch.nn.ReLU(),
            torch.nn.Dropout(0.5), torch.nn.Linear(16, outputs),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        """A logit an output."""
        return self.layers(clean(x))


class Way(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A module whose forward is a function."""

    def __init__(self, way: Any) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(9, 1)
        self.way = way

    def forward(self, x: Any) -> Any:
        """What the function makes of layer and input."""
        return self.way(self.layer, x)


@pytest.fixture(scope="module")
def plain() -> Rows:
    """Rows to train on and to test with."""
    torch.manual_seed(3)
    return make_matrix(ANY, list(log(600))).split(share=0.7)


@pytest.fixture(scope="module")
def encoded(plain: Rows) -> Rows:
    """The same with numbers for countries."""
    one = fit_one_hot(plain[0], "country")
    return plain[0].encode(one), plain[1].encode(one)


def packaged(folder: Path, model: Any, rows: Rows) -> Packaged:
    """Package a model and return the report; graph and model agree in every row."""
    done = package(folder / "1", ANY, model, rows[0], test=rows[1])
    assert done.parity is not None
    assert done.parity.largest < 1e-5
    assert done.parity.rows == len(rows[1])
    return done


def outputs(done: Packaged) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Dtype and shape of each output, by name."""
    return {o.name: (o.dtype, o.shape) for o in done.manifest.outputs}


def refused(model: Any, rows: Rows, tmp_path: Path) -> str:
    """Why it is not packaged; nothing is written."""
    with pytest.raises(PackageError) as told:
        package(tmp_path / "1", ANY, model, rows[0], test=rows[1])
    assert not (tmp_path / "1").exists()
    assert "\x1b" not in str(told.value)
    assert len(str(told.value)) < 500
    return str(told.value)


def test_a_module_serves_what_it_answers_itself(tmp_path: Path, encoded: Rows) -> None:
    """Trained, packaged, and served by the harness: each prediction is the module's own for its row."""
    train, test = encoded
    model = Perceptron()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    x, y = torch.from_numpy(train.array()), torch.from_numpy(train.labels).float()
    for _ in range(20):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x)[:, 0], y)
        loss.backward()
        optimizer.step()

    def answer(event: Any, row: Any, made: Any, decision: Any) -> dict[str, float]:
        return {"probability": 1.0 / (1.0 + np.exp(-made["output"]))}

    usecase = make_usecase(answer=answer, champion="fraud/1")
    done = package(tmp_path / "fraud/1", usecase, model, train, test=test)
    assert done.parity is not None
    assert done.parity.largest < 1e-5
    records = [
        Sent(topic=r.topic, value=r.value, timestamp=r.timestamp) for r in list(log(600))[-60:]
    ]
    seen = rehearse(usecase, records, artifacts=tmp_path)
    assert seen.dead_letters == []
    assert len(seen.predictions) > 20
    model.eval()
    encoding = train.encodings["country"]
    table, unseen = encoding.table()
    for prediction in seen.predictions:
        assert prediction["served_by"] == "champion"
        numbers: list[float] = []
        for column in train.columns:
            value = prediction.row[column]
            numbers += table.get(value, unseen) if column == "country" else [value]
        with torch.no_grad():
            own = torch.sigmoid(model(torch.tensor([numbers], dtype=torch.float32)))[0, 0]
        assert prediction["probability"] == pytest.approx(float(own), abs=1e-5)


def test_it_is_exported_in_evaluation_mode_and_left_in_its_own(
    tmp_path: Path, encoded: Rows
) -> None:
    """Who goes on training afterwards trains on; a part that was frozen stays frozen."""
    model = Perceptron()
    model.train()
    model.layers[1].eval()
    packaged(tmp_path, model, encoded)
    assert model.training
    assert model.layers[3].training
    assert not model.layers[1].training


def test_the_graph_has_an_opset_that_every_supported_runtime_knows(
    tmp_path: Path, encoded: Rows
) -> None:
    """And takes any number of rows."""
    packaged(tmp_path, Perceptron(), encoded)
    graph = onnx.load(str(tmp_path / "1" / "model.onnx"))
    assert {o.domain: o.version for o in graph.opset_import} == {"": 18}
    for node in (*graph.graph.input, *graph.graph.output):
        assert node.type.tensor_type.shape.dim[0].dim_param


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (lambda layer, x: torch.cat([layer(clean(x)), -layer(clean(x))], 1),
         {"output": ("float32", (2,))}),
        (lambda layer, x: (torch.sigmoid(layer(clean(x)))[:, 0], layer(clean(x))),
         {"output_0": ("float32", ()), "output_1": ("float32", (1,))}),
        (lambda layer, x: layer(clean(x))[:, 0] > 0, {"output": ("bool", ())}),
        (lambda layer, x: clean(x).argmax(1), {"output": ("int64", ())}),
    ],
    ids=["logits of two classes", "a tuple", "bool", "int64"],
)  # fmt: skip
def test_what_forward_gives_is_what_the_version_gives(
    tmp_path: Path, encoded: Rows, way: Any, expected: Any
) -> None:
    """Nothing is picked or squashed: what a module's outputs mean is not known here."""
    assert outputs(packaged(tmp_path, Way(way), encoded)) == expected


def test_a_module_of_doubles_is_served_in_doubles(tmp_path: Path, encoded: Rows) -> None:
    """Its dtype is that of its parameters."""
    done = packaged(tmp_path, Perceptron().double(), encoded)
    assert outputs(done) == {"output": ("float64", (1,))}
    assert [tensor.dtype for tensor in done.manifest.inputs] == ["float64"]


def test_arguments_that_have_a_default_take_no_column(tmp_path: Path, encoded: Rows) -> None:
    """And what was compiled is exported as what it was."""

    class Scaled(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(9, 1)

        def forward(self, x: Any, scale: float = 1000.0, *, mask: Any = None) -> Any:
            return self.layer(torch.nan_to_num(x) / scale)

    done = packaged(tmp_path, torch.compile(Scaled()), encoded)
    assert outputs(done) == {"output": ("float32", (1,))}


class ByColumn(torch.nn.Module):  # type: ignore[misc, name-defined]
    """An argument a column: whole numbers to look up, a bool, and a number."""

    def __init__(self) -> None:
        super().__init__()
        self.hours = torch.nn.Embedding(24, 3)
        self.countries = torch.nn.Embedding(5, 2)
        self.layer = torch.nn.Linear(6, 1)

    def forward(self, hour: Any, large: Any, country: Any, amount: Any) -> Any:
        """Each of shape (rows, 1)."""
        known = self.hours(hour[:, 0]), self.countries(country[:, 0].long() + 1)
        number = torch.where(large, torch.ones_like(amount), clean(amount))
        return self.layer(torch.cat([*known, number], 1))


def test_columns_that_are_arguments_keep_their_dtypes(tmp_path: Path) -> None:
    """int64 and bool stay what they are; an encoded text is its number."""
    large = RowFeature("large", lambda e: e.amount > 50.0, "", "Whether it is much.", "bool")
    features = FeatureSet(
        views=FEATURES.views, row_features=(*FEATURES.row_features, large), triggers=(Payment,)
    )
    usecase = replace(ANY, features=features)
    train, test = make_matrix(usecase, list(log(600))).split(share=0.7)
    one = fit_ordinal(train, "country")
    train, test = train.encode(one), test.encode(one)
    done = package(tmp_path / "1", usecase, ByColumn(), train, test=test)
    assert {tensor.name: tensor.dtype for tensor in done.manifest.inputs} == {
        "hour": "int64", "large": "bool", "country": "float32", "amount": "float32",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (lambda layer, x: [layer(x)], "gives a list: let it return a tensor, or a tuple of tensors"),
        (lambda layer, x: {"p": layer(x)}, "gives a dict: let it return a tensor"),
        (lambda layer, x: 1.0, "gives a float: let it return a tensor"),
        (lambda layer, x: layer(x).half(), r"gives float16: end it by .float\(\)"),
        (lambda layer, x: x.argmax(1).int(), r"gives int32: end it by .long\(\)"),
        (lambda layer, x: layer(x).mean(), r"the shape \(\) for 3 rows: let the rows be the first"),
        (lambda layer, x: torch.stack([layer(row) for row in x]), "goes through the rows in a loop"),
        (lambda layer, x: layer(x) if x.sum() > 0 else -layer(x), "choose by torch.where"),
        (lambda layer, x: x.absent, "forward of Way raises for float32 of shape"),
    ],
    ids=["list", "dict", "float", "half", "int32", "scalar", "loop", "branch", "raises"],
)  # fmt: skip
def test_what_cannot_be_served_is_refused_in_a_sentence(
    tmp_path: Path, encoded: Rows, way: Any, expected: str, capfd: Any
) -> None:
    """It says what forward gives and what to change, and torch's own pages are kept away."""
    import re

    told = refused(Way(way), encoded, tmp_path)
    assert re.search(expected, told), told
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_what_is_no_module_to_export_is_refused_in_a_sentence(
    tmp_path: Path, encoded: Rows, plain: Rows
) -> None:
    """A script, a class, parameters elsewhere or of another size, columns that are not there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scripted = torch.jit.script(torch.nn.Linear(9, 1))
    assert "no module that is exported here" in refused(scripted, encoded, tmp_path)
    assert "Perceptron is a class" in refused(Perceptron, encoded, tmp_path)
    elsewhere = torch.nn.Linear(9, 1, device="meta")
    assert 'by model.to("cpu")' in refused(elsewhere, encoded, tmp_path)
    assert "after model.float()" in refused(Perceptron().half(), encoded, tmp_path)
    told = refused(torch.nn.Linear(7, 1), encoded, tmp_path)
    assert "for float32 of shape (3, 9)" in told
    assert "takes country, a column of text" in refused(ByText(), plain, tmp_path)
    assert "takes colour, which is no column" in refused(ByColour(), plain, tmp_path)


class ByText(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Takes a column of text."""

    def forward(self, country: Any, amount: Any) -> Any:
        """Of two columns."""
        return amount


class ByColour(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Takes a column that is not there."""

    def forward(self, colour: Any, amount: Any) -> Any:
        """Of two columns."""
        return amount


def test_an_answer_that_depends_on_the_batch_is_refused_as_that(
    tmp_path: Path, encoded: Rows
) -> None:
    """Rounding would not help, and is not what is told."""
    model = Way(lambda layer, x: (clean(x) - clean(x).mean(0)).sum(1))
    with pytest.raises(ModelRefusedError, match="answers by the other rows of a batch too"):
        package(tmp_path / "1", ANY, model, encoded[0], test=encoded[1])


def test_an_export_prints_nothing_and_leaves_the_log_as_it_was(
    tmp_path: Path, encoded: Rows, capfd: Any
) -> None:
    """Torch warns of packages that the exporter does without."""
    level = logging.getLogger("torch.onnx").level
    packaged(tmp_path, Perceptron(), encoded)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert logging.getLogger("torch.onnx").level == level
