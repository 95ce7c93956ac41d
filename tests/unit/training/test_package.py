"""A graph becomes a version in one call, checked as at a start; what does not fit is explained."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stream_app.features.model_version.folder import read_version
from stream_app.features.model_version.manifest import ModelVersionError
from stream_app.models import ModelRefusedError, load_model
from stream_app.training.encoding import fit_one_hot, fit_ordinal
from stream_app.training.errors import PackageError
from stream_app.training.make_matrix import make_matrix
from stream_app.training.matrix import Matrix
from stream_app.training.package import package
from stream_app.training.report import Packaged
from tests.unit.training.shop import NUMBERS, graph, log, make_usecase


@pytest.fixture(scope="module")
def full() -> Matrix:
    """Every column."""
    return make_matrix(make_usecase(), list(log(600)))


@pytest.fixture(scope="module")
def matrix(full: Matrix) -> Matrix:
    """The columns that the graph of `shop` takes."""
    return full.only(*NUMBERS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the use case looks for its champion, below a root."""
    return tmp_path / "artifacts" / "fraud" / "1"


def test_branches_of_the_answer_that_nothing_golden_reaches_are_named(
    folder: Path, matrix: Matrix
) -> None:
    """Both sides of the threshold are reached, by the lowest and the highest output."""
    done = package(
        folder, make_usecase(answer=judged), graph(), matrix, decision={"threshold": 0.8}
    )
    line = judged.__code__.co_firstlineno + 3
    (told,) = done.unreached
    assert told.startswith(f"line {line}")
    assert told.endswith("training/test_package.py, in judged")
    assert f"not reached: {told}\n" in str(done)
    assert "train with a log that reaches it" in str(done)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def model(
    inputs: list[tuple[str, int, list[Any]]],
    nodes: list[onnx.NodeProto],
    outputs: list[tuple[str, int, list[Any]]],
    constants: list[onnx.TensorProto] | None = None,
) -> onnx.ModelProto:
    """A graph of these parts."""
    made = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info(*each) for each in inputs],
        [helper.make_tensor_value_info(*each) for each in outputs],
        constants or [],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(made, opset_imports=opsets, ir_version=8)


def no_answer(event: Any, row: Any, outputs: Any, decision: Any) -> dict[str, float]:
    """An answer for any graph."""
    return {"probability": 0.5}


def judged(event: Any, row: Any, outputs: Any, decision: Any) -> dict[str, float]:
    """An answer with a branch for each side of a threshold, and one for an event that never comes."""
    if event.country == "XX":
        return {"probability": 0.0}
    if outputs["probability"] < decision["threshold"]:
        return {"probability": outputs["probability"]}
    return {"probability": 1.0}


USECASE = make_usecase()
ANY = make_usecase(answer=no_answer)


def test_a_graph_becomes_a_version_that_loads(folder: Path, matrix: Matrix) -> None:
    """With baseline, golden vectors and events, decision and metrics."""
    train, test = matrix.split(share=0.7)
    done = package(
        folder, USECASE, graph(), train, test=test, decision={"threshold": 0.3}, metrics={"auc": 1}
    )
    version = read_version(folder)
    manifest = version.manifest
    assert (manifest.name, manifest.version) == ("fraud", "1")
    assert [(t.name, t.dtype, t.columns) for t in manifest.inputs] == [("x", "float32", NUMBERS)]
    assert [(o.name, o.dtype, o.shape) for o in manifest.outputs] == [
        ("probability", "float32", ())
    ]
    assert manifest.decision == {"threshold": 0.3}
    assert manifest.metrics == {"auc": 1.0}
    assert manifest.training_data.rows == len(train)
    assert manifest.features_fingerprint == USECASE.features.fingerprint()
    cases = {vector.case: vector for vector in version.golden}
    assert cases["nothing known"].columns == dict.fromkeys(NUMBERS)
    assert cases["amount missing"].columns["amount"] is None
    assert {event.topic for event in version.golden_events} == {"payments", "logins", "chargebacks"}
    assert load_model(folder, USECASE.features, USECASE.topics).name == "fraud"
    assert done.is_served


def test_the_same_again_changes_nothing(folder: Path, matrix: Matrix) -> None:
    """And says so."""
    first = package(folder, USECASE, graph(), matrix, commit="unknown")
    before = bytes_of(folder)
    again = package(folder, USECASE, graph(), matrix, commit="unknown")
    assert not first.stood_already
    assert again.stood_already
    assert "stood already and is the same" in str(again)
    assert bytes_of(folder) == before


def test_another_version_is_never_written_over(folder: Path, matrix: Matrix) -> None:
    """It is refused, or with `renumber` gets the next number; the served one's metrics are told."""
    package(folder, USECASE, graph(), matrix, metrics={"auc": 0.5})
    before = bytes_of(folder)
    with pytest.raises(ModelVersionError, match=r"fraud/1 already holds a version"):
        package(folder, USECASE, graph(), matrix, metrics={"auc": 0.75})
    done = package(folder, USECASE, graph(), matrix, metrics={"auc": 0.75}, renumber=True)
    assert bytes_of(folder) == before
    assert done.folder == folder.with_name("2")
    assert read_version(done.folder).manifest.version == "2"
    assert not done.is_served
    assert "auc 0.75 (0.5)" in str(done)
    assert 'let the use case name it, champion="fraud/2" or in fallbacks' in str(done)


def test_what_a_start_would_refuse_is_not_written(folder: Path, matrix: Matrix) -> None:
    """The folder is not even made."""
    wrong = make_usecase(answer=lambda event, row, outputs, decision: {"wrong": 1.0})
    with pytest.raises(ModelRefusedError, match="breaks its contract"):
        package(folder, wrong, graph(), matrix)
    assert not folder.exists()


def test_columns_are_matched_by_name(folder: Path, full: Matrix) -> None:
    """In whatever order; a text, a whole number and a single number each in a tensor of its own."""
    made = model(
        [
            ("hour", TensorProto.INT64, ["n", 1]),
            ("country", TensorProto.STRING, ["n", 1]),
            ("amount", TensorProto.FLOAT, ["n", 1]),
        ],
        [
            helper.make_node("Identity", ["hour"], ["h"]),
            helper.make_node("Identity", ["country"], ["c"]),
            helper.make_node("IsNaN", ["amount"], ["b"]),
            helper.make_node("Cast", ["amount"], ["d"], to=TensorProto.DOUBLE),
        ],
        [
            ("h", TensorProto.INT64, ["n", 1]),
            ("c", TensorProto.STRING, ["n", 1]),
            ("b", TensorProto.BOOL, ["n", 1]),
            ("d", TensorProto.DOUBLE, ["n", 1]),
        ],
    )
    package(folder, ANY, made, full.only("amount", "country", "hour"))
    manifest = read_version(folder).manifest
    assert {t.name: (t.dtype, t.columns) for t in manifest.inputs} == {
        "hour": ("int64", ("hour",)),
        "country": ("string", ("country",)),
        "amount": ("float32", ("amount",)),
    }
    assert {o.name: (o.dtype, o.shape) for o in manifest.outputs} == {
        "h": ("int64", (1,)), "c": ("string", (1,)), "b": ("bool", (1,)), "d": ("float64", (1,)),
    }  # fmt: skip


def test_columns_are_matched_by_dtype_and_order(folder: Path, full: Matrix) -> None:
    """A tensor of texts takes the texts, one of doubles the numbers."""
    made = model(
        [("x", TensorProto.DOUBLE, ["n", 6]), ("s", TensorProto.STRING, ["n", 1])],
        [helper.make_node("Identity", ["x"], ["y"]), helper.make_node("Identity", ["s"], ["t"])],
        [("y", TensorProto.DOUBLE, ["n", 6]), ("t", TensorProto.STRING, ["n", 1])],
    )
    package(folder, ANY, made, full)
    inputs = {t.name: t for t in read_version(folder).manifest.inputs}
    assert inputs["x"].dtype == "float64"
    assert inputs["x"].columns == (*NUMBERS, "hour")
    assert inputs["s"].columns == ("country",)


def test_inputs_can_be_said(folder: Path, full: Matrix) -> None:
    """Where neither name nor order tells."""
    package(folder, USECASE, graph(2), full, inputs={"x": ["amount", "payments"]})
    assert read_version(folder).manifest.inputs[0].columns == ("amount", "payments")


@pytest.mark.parametrize(
    ("columns", "options", "sentence"),
    [
        (
            ("amount", "payments"),
            {},
            r"input x takes 5 numbers a row, and the columns for it make 2",
        ),
        ((*NUMBERS, "country"), {}, r"no input of the graph takes the column country \(string\)"),
        (NUMBERS, {"inputs": {"z": ["amount"]}}, r"inputs= names z, the graph's inputs are x"),
        (
            NUMBERS,
            {"inputs": {"x": ["nothing"]}},
            r"the column nothing, which the matrix does not have",
        ),
        (
            ("country",),
            {"inputs": {"x": ["country"]}},
            r"takes the column country|would take the column",
        ),
        (NUMBERS, {"outputs": ["score"]}, r"the graph has no output score, it has probability"),
        (NUMBERS, {"name": "a/b"}, r"name of the version"),
        (NUMBERS, {"metrics": {"auc": float("nan")}}, r"metrics.auc of the version"),
    ],
)
def test_what_does_not_fit_is_explained(
    folder: Path, full: Matrix, columns: Any, options: Any, sentence: str
) -> None:
    """In a sentence that names it and says what to do; nothing is written."""
    with pytest.raises(PackageError, match=sentence):
        package(folder, USECASE, graph(), full.only(*columns), **options)
    assert not folder.exists()


def test_an_output_of_another_type_says_what_to_do(folder: Path, full: Matrix) -> None:
    """A half, which no output may be, is to be cast."""
    half = model(
        [("x", TensorProto.FLOAT, ["n", 1])],
        [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT16)],
        [("y", TensorProto.FLOAT16, ["n", 1])],
    )
    with pytest.raises(
        PackageError, match=r"output y is tensor\(float16\): cast it in the graph to"
    ):
        package(folder, ANY, half, full.only("amount"))


def test_a_map_of_classes_says_what_to_do(folder: Path, full: Matrix) -> None:
    """ZipMap is what a converter adds by default."""
    zipped = model(
        [("x", TensorProto.FLOAT, ["n", 2])],
        [helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])],
        [],
    )
    kind = helper.make_sequence_type_proto(
        helper.make_map_type_proto(
            TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
        )
    )
    zipped.graph.output.append(helper.make_value_info("y", kind))
    with pytest.raises(PackageError, match="export the model without ZipMap"):
        package(folder, ANY, zipped, full.only("amount", "payments"))


def test_what_is_no_model_says_what_is(folder: Path, matrix: Matrix, tmp_path: Path) -> None:
    """Bytes, files and objects of other kinds."""
    with pytest.raises(PackageError, match=r"builtins.dict is no model that package\(\) exports"):
        package(folder, USECASE, {}, matrix)
    with pytest.raises(PackageError, match="are no ONNX graph"):
        package(folder, USECASE, b"nonsense", matrix)
    (tmp_path / "model.onnx").write_bytes(b"nonsense")
    with pytest.raises(PackageError, match=r"model.onnx is no ONNX file"):
        package(folder, USECASE, tmp_path / "model.onnx", matrix)


def test_weights_outside_the_file_are_taken_in(folder: Path, full: Matrix, tmp_path: Path) -> None:
    """So that a version is one file; from bytes alone they cannot be had."""
    weights = numpy_helper.from_array(np.full((1, 2_000), 2.0, np.float32), "w")
    made = model(
        [("x", TensorProto.FLOAT, ["n", 1])],
        [
            helper.make_node("Mul", ["x", "w"], ["wide"]),
            helper.make_node("Gather", ["wide", "at"], ["y"], axis=1),
        ],
        [("y", TensorProto.FLOAT, ["n"])],
        [weights, numpy_helper.from_array(np.array(7), "at")],
    )
    path = tmp_path / "model.onnx"
    onnx.save(made, str(path), save_as_external_data=True, location="weights.bin")
    with pytest.raises(PackageError, match="hand the path of its file"):
        package(folder, ANY, path.read_bytes(), full.only("amount"))
    package(folder, ANY, path, full.only("amount"))
    loaded = load_model(folder, ANY.features, ANY.topics)
    row = [0.0, 0.0, 0.0, 0.0, 4.0, "DE", 1]
    assert loaded.score([row])["y"].tolist() == [8.0]


def test_a_batch_axis_of_one_is_freed(folder: Path, matrix: Matrix) -> None:
    """As exporters leave it that trace one row."""
    proto = onnx.ModelProto()
    proto.ParseFromString(graph())
    for node in (*proto.graph.input, *proto.graph.output):
        node.type.tensor_type.shape.dim[0].dim_value = 1
    assert len(str(package(folder, USECASE, proto, matrix))) > 100


def test_export_and_original_are_compared_row_by_row(folder: Path, matrix: Matrix) -> None:
    """The worst row is named, with both values."""
    known = np.nan_to_num(matrix.array().astype(np.float64))
    right = 1 / (1 + np.exp(-0.01 * known.sum(axis=1)))
    done = package(folder, USECASE, graph(), matrix, expected={"probability": right})
    assert done.parity is not None
    assert done.parity.largest < 1e-6
    assert done.parity.rows == len(matrix)
    wrong = right.copy()
    wrong[17] += 0.25
    with pytest.raises(
        PackageError,
        match=rf"by 0.2\d, in the row of event {matrix.ids[17]} .*1 of 600 rows differ",
    ):
        package(folder.with_name("2"), USECASE, graph(), matrix, expected={"probability": wrong})


def test_outputs_can_have_other_names(folder: Path, matrix: Matrix) -> None:
    """Those that the use case's answer asks for."""
    package(folder, USECASE, graph(output="p"), matrix, outputs={"p": "probability"})
    assert [o.name for o in read_version(folder).manifest.outputs] == ["probability"]


def test_a_model_whose_last_bits_vary_is_rounded(folder: Path, matrix: Matrix) -> None:
    """And its golden outputs are what it will serve: rounded too."""
    made = model(
        [("x", TensorProto.FLOAT, ["n", 5])],
        [
            helper.make_node("IsNaN", ["x"], ["missing"]),
            helper.make_node("Where", ["missing", "zero", "x"], ["known"]),
            helper.make_node("MatMul", ["known", "w"], ["wide"]),
            helper.make_node("Tanh", ["wide"], ["bent"]),
            helper.make_node("MatMul", ["bent", "v"], ["column"]),
            helper.make_node("Sigmoid", ["column"], ["squashed"]),
            helper.make_node("Squeeze", ["squashed", "axis"], ["probability"]),
        ],
        [("probability", TensorProto.FLOAT, ["n"])],
        [
            numpy_helper.from_array(np.float32(0.0), "zero"),
            numpy_helper.from_array(
                np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32) / 50, "w"
            ),
            numpy_helper.from_array(
                np.random.default_rng(1).normal(size=(64, 1)).astype(np.float32), "v"
            ),
            numpy_helper.from_array(np.array([1]), "axis"),
        ],
    )
    done = package(folder, USECASE, made, matrix, score_decimals=5)
    assert done.manifest.score_decimals == 5
    for vector in read_version(folder).golden:
        value = vector.outputs["probability"]
        assert value == pytest.approx(round(float(value), 5), abs=1e-7)  # type: ignore[arg-type]
    free = package(folder.with_name("2"), USECASE, made, matrix)
    assert free.manifest.score_decimals in (None, 6, 5, 4)


@pytest.mark.parametrize("fit", [fit_ordinal, fit_one_hot])
def test_encodings_are_served_as_they_were_trained(folder: Path, full: Matrix, fit: Any) -> None:
    """A text never seen too; the graph has no node for them."""
    encoded = full.only("amount", "country").encode(fit(full, "country"))
    width = encoded.array().shape[1]
    made = model(
        [("x", TensorProto.FLOAT, ["n", width])],
        [helper.make_node("Identity", ["x"], ["y"])],
        [("y", TensorProto.FLOAT, ["n", width])],
    )
    package(folder, ANY, made, encoded)
    loaded = load_model(folder, ANY.features, ANY.topics)
    rows = [
        [0.0, 0.0, 0.0, 0.0, amount, country, 1]
        for amount, country in zip(
            full.columns["amount"].tolist(), full.columns["country"].tolist(), strict=True
        )
    ]
    assert np.array_equal(loaded.score(rows)["y"], encoded.array())
    (unseen,) = loaded.score([[0.0, 0.0, 0.0, 0.0, 1.0, "XX", 1]])["y"].tolist()
    assert unseen[1:] == ([-1.0] if fit is fit_ordinal else [0.0, 0.0, 0.0])
    vectors = {vector.case: vector for vector in read_version(folder).golden}
    assert vectors["country unseen"].columns["country"] == "never seen in training"


def test_golden_events_keep_key_headers_and_timestamp(folder: Path, matrix: Matrix) -> None:
    """For decoders that take an id or a time from them."""
    package(folder, USECASE, graph(), matrix)
    lines = (folder / "golden_events.jsonl").read_text().splitlines()
    assert all("timestamp" in json.loads(line) for line in lines)


def test_the_report_prints_well(folder: Path, matrix: Matrix) -> None:
    """A line a fact."""
    told = str(package(folder, USECASE, graph(), matrix, metrics={"auc": 0.5}))
    assert told.splitlines()[0].endswith("fraud/1: written; every check of a start passed")
    assert "takes x float32 of mean_amount, payments" in told
    assert "gives probability float32" in told
    assert "auc 0.5" in told


def test_a_model_without_an_answer_for_missing_numbers_is_told(folder: Path, full: Matrix) -> None:
    """There a fallback serves, or nothing does: the author should know."""
    plain = model(
        [("x", TensorProto.FLOAT, ["n", 1])],
        [helper.make_node("Identity", ["x"], ["y"])],
        [("y", TensorProto.FLOAT, ["n", 1])],
    )
    done: Packaged = package(folder, ANY, plain, full.only("amount"))
    assert done.without_answer == ("every number missing", "amount missing", "nothing known")
    (told,) = [line for line in str(done).splitlines() if "no finite output" in line]
    assert told == (
        "  no finite output for every number missing, amount missing, nothing known: such events become "
        "dead letters, as the use case has no fallback"
    )
    other = make_usecase(answer=no_answer, fallbacks=("fraud/0",))
    assert "a fallback serves there" in str(package(folder, other, plain, full.only("amount")))
