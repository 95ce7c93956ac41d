"""A project that begins from a model has a field for each column, and one for each output."""

import os
import re
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from stream_app.scaffold.errors import ScaffoldError
from stream_app.scaffold.project import write_project
from stream_app.training.errors import PackageError
from tests.unit.scaffold.graphs import Given, graph

ROOT = Path(__file__).parents[3]


def begun(tmp_path: Path, inputs: dict[str, Given]) -> Path:
    """The package of a project that begins from a graph with these inputs."""
    write_project("risk", tmp_path / "risk", graph(tmp_path / "any.onnx", inputs))
    return tmp_path / "risk" / "risk"


def fields(path: Path) -> list[str]:
    """The fields that the classes of a file declare."""
    return re.findall(r"(?m)^    (\w+: [\w\[\]]+)$", path.read_text())


def test_a_wide_input_gives_numbered_columns_and_narrow_ones_their_own_names(
    tmp_path: Path,
) -> None:
    """Each with the type that its tensor holds."""
    package = begun(
        tmp_path,
        {
            "X": Given("float", (None, 2)),
            "amount": Given("double", (None, 1)),
            "count": Given("int64", (None,)),
            "known": Given("bool", (None, 1)),
            "country": Given("string", (None, 1)),
        },
    )
    assert fields(package / "events.py") == [
        "c0: float", "c1: float", "amount: float", "count: int", "known: bool", "country: str",
    ]  # fmt: skip
    views = (package / "views.py").read_text()
    assert '"X": ("c0", "c1",),' in views
    assert 'RowFeature("amount", "amount", "1", "Column of the model.", "float64")' in views
    assert fields(package / "predictions.py") == [
        "X_out: list[float]", "amount_out: float", "count_out: int", "known_out: bool",
        "country_out: str",
    ]  # fmt: skip


def test_two_wide_inputs_number_their_columns_apart(tmp_path: Path) -> None:
    """By the input's name."""
    package = begun(tmp_path, {"a": Given("float", (None, 2)), "b": Given("float", (None, 2))})
    assert fields(package / "events.py") == [
        "a_c0: float",
        "a_c1: float",
        "b_c0: float",
        "b_c1: float",
    ]


def test_names_that_python_or_the_contracts_have_taken_are_changed(tmp_path: Path) -> None:
    """And two that become the same one are told apart."""
    package = begun(
        tmp_path,
        {
            "class": Given("float", (None, 1), "event_id"),
            "event_time": Given("float", (None, 1), "score"),
            "a b": Given("float", (None, 1), "model"),
            "a-b": Given("float", (None, 1), "served by"),
        },
    )
    assert fields(package / "events.py") == [
        "its_class: float", "its_event_time: float", "a_b: float", "a_b_2: float",
    ]  # fmt: skip
    assert fields(package / "predictions.py") == [
        "its_event_id: float", "score: float", "its_model: float", "its_served_by: float",
    ]  # fmt: skip


@pytest.mark.parametrize("shape", [(None, None), (None, 2, 2)])
def test_an_input_whose_columns_cannot_be_told_is_refused(
    tmp_path: Path, shape: tuple[int | None, ...]
) -> None:
    """With what to export instead, and nothing is written."""
    with pytest.raises(ScaffoldError, match="where the number of columns is fixed"):
        begun(tmp_path, {"X": Given("float", shape)})
    assert not (tmp_path / "risk").exists()


def test_an_input_without_a_shape_is_refused(tmp_path: Path) -> None:
    """A converter may leave it out."""
    value = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "xy"
    ]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    made = onnx.helper.make_graph([node], "small", value[:1], value[1:])
    opsets = [onnx.helper.make_opsetid("", 17)]
    path = tmp_path / "any.onnx"
    onnx.save(onnx.helper.make_model(made, opset_imports=opsets, ir_version=8), str(path))
    with pytest.raises(ScaffoldError, match="input x has no shape: export it with the shape"):
        write_project("risk", tmp_path / "risk", path)


@pytest.mark.parametrize("newer", ["opset", "ir"])
def test_a_graph_for_a_newer_runtime_says_so(tmp_path: Path, newer: str) -> None:
    """In a sentence that names no line of ONNX Runtime's own source."""
    path = graph(tmp_path / "any.onnx", {"X": Given("float", (None, 2))})
    made = onnx.load(str(path))
    if newer == "opset":
        made.opset_import[0].version = 99
    else:
        made.ir_version = 99
    path.write_bytes(made.SerializeToString())
    with pytest.raises(ScaffoldError) as told:
        write_project("risk", tmp_path / "risk", path)
    assert "exported for a newer ONNX than this ONNX Runtime" in str(told.value)
    assert not re.search(r"\.cc|\.h:|&|ONNXRuntimeError", str(told.value))


def test_what_is_no_graph_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """Nothing is written."""
    (tmp_path / "any.onnx").write_bytes(b"PK\x03\x04")
    with pytest.raises((ScaffoldError, PackageError), match="ONNX"):
        write_project("risk", tmp_path / "risk", tmp_path / "any.onnx")
    assert not (tmp_path / "risk").exists()


def test_the_project_packages_its_model_and_passes_its_own_tests(tmp_path: Path) -> None:
    """By the commands that the example has too."""
    folder = begun(
        tmp_path, {"X": Given("float", (None, 2)), "class": Given("string", (None, 1), "model")}
    ).parent
    clean = {k: v for k, v in os.environ.items() if not k.startswith("STREAM_APP_")}
    for arguments in (
        "-m risk.training.generate log.jsonl",
        "-m risk.training.train log.jsonl",
        "-m stream_app check",
        "-m pytest -q -p no:cacheprovider",
    ):
        done = subprocess.run(
            [sys.executable, *arguments.split()], cwd=folder, text=True, check=False,
            env={**clean, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, f"{arguments}\n{done.stdout}"
