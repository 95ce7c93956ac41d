"""The folder of a model version: written reproducibly, read as written."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from stream_app.features.events import LogRecord
from stream_app.features.model_version.folder import read_manifest, read_version
from stream_app.features.model_version.golden import GoldenEvent, GoldenVector, close, to_cell
from stream_app.features.model_version.manifest import (
    MANIFEST,
    Manifest,
    ModelInput,
    ModelOutput,
    ModelVersionError,
    TrainingData,
)
from tests.unit.models.sales import Version, manifest, sale, vector


def contents(folder: Path) -> dict[str, bytes]:
    """All bytes of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_reads_what_was_written(version: Version) -> None:
    """Every part comes back equal, missing numbers included."""
    folder = version.but(others={"map.json": b"{}"}).write()
    read = read_version(folder)
    assert read.golden == version.golden
    assert list(read.golden_events) == version.events
    assert read.model == version.model
    assert read.others == {"map.json": b"{}"}
    assert read.manifest == read_manifest(folder)
    assert read.manifest.inputs == version.manifest.inputs
    assert list(read.manifest.columns().items()) == [
        ("mean_price", "float32"), ("price", "float32"), ("shop", "string"), ("length", "int64"),
    ]  # fmt: skip


def test_same_bytes(version: Version) -> None:
    """The same parts give the same bytes, in another folder and in the same one."""
    first = contents(version.write())
    assert contents(version.write()) == first
    assert contents(version.but(folder=version.folder.parent / "again").write()) == first
    assert first[MANIFEST].endswith(b"}\n")


def test_times_are_rfc_3339(version: Version) -> None:
    """Moments are written with their offset, the window under from and to."""
    written = json.loads((version.write() / MANIFEST).read_text())
    assert written["training_data"]["from"] == "2013-01-01T00:00:00Z"
    assert written["training_data"]["to"] == "2013-02-01T00:00:00Z"
    assert written["created"] == "2013-02-02T00:00:00Z"


def test_a_version_never_changes(version: Version) -> None:
    """Other bytes under the same folder are refused and nothing is touched."""
    before = contents(version.write())
    with pytest.raises(ModelVersionError, match=r"already holds a version and its manifest.json"):
        version.but(manifest=manifest(seed=1)).write()
    assert contents(version.folder) == before


def test_no_golden_vector_is_all_missing(version: Version) -> None:
    """A version cannot be written without a row of missing numbers."""
    with pytest.raises(ValueError, match="every column of floats missing"):
        version.but(golden=(vector("usual", 1.0, 1.0, "nowhere"),)).write()


def test_no_golden_vector_is_unseen(version: Version) -> None:
    """A version cannot be written without a category never seen in training."""
    with pytest.raises(ValueError, match="no golden vector has an unseen value of shop"):
        version.but(golden=(vector("missing", None, None, "north"),)).write()


def test_golden_events_must_ask(version: Version) -> None:
    """Golden events without one that asks for a prediction prove nothing."""
    with pytest.raises(ValueError, match="no golden event has columns"):
        version.but(events=[GoldenEvent(topic="sales", value=sale(1, "north", 1.0))]).write()


def test_golden_cell_of_another_type(version: Version) -> None:
    """A golden value of another type than its column's is not written."""
    odd = vector("odd", 1.0, 1.0, "north")
    odd = odd.model_copy(update={"columns": {**odd.columns, "length": None}})
    with pytest.raises(ValueError, match="'odd': length is not int64"):
        version.but(golden=(*version.golden, odd)).write()


def test_further_file_under_a_taken_name(version: Version) -> None:
    """A further file cannot take the place of one every version has."""
    with pytest.raises(ValueError, match=r"model.onnx: not a name for a further file"):
        version.but(others={"model.onnx": b""}).write()


@pytest.mark.parametrize(
    "changes",
    [
        {"unknown": 1},
        {"name": "a/b"},
        {"files": {"manifest.json": "0" * 64}},
        {"files": {"model.onnx": "beef"}},
        {"inputs": ()},
        {"inputs": (ModelInput(name="x", dtype="float32", columns=("a", "a")),)},
        {"outputs": (ModelOutput(name="o", dtype="int64"), ModelOutput(name="o", dtype="int64"))},
        {"metrics": {"auc": float("nan")}},
        {"created": datetime(2013, 1, 1)},  # noqa: DTZ001 - naive on purpose
        {"code_commit": "main"},
        {"score_decimals": -1},
    ],
)
def test_manifest_refuses(changes: dict[str, Any]) -> None:
    """What would be ambiguous in a manifest cannot get into one."""
    with pytest.raises(ValidationError):
        manifest(**changes)


def test_window_runs_forward() -> None:
    """A training window that ends before it starts is a mistake."""
    moment = datetime(2013, 1, 1, tzinfo=UTC)
    with pytest.raises(ValidationError, match="must end after it starts"):
        TrainingData(start=moment, end=moment, rows=1, sha256="0" * 64)


def test_manifest_schema_is_closed() -> None:
    """The contract can be published as a JSON Schema that allows nothing else."""
    assert Manifest.model_json_schema()["additionalProperties"] is False


@pytest.mark.parametrize(
    ("got", "wanted", "met"),
    [
        (1.0, 1.0 + 1e-5, True),
        (1.0, 1.0 + 2e-5, False),
        (0.0, 9e-7, True),
        (0.0, 2e-6, False),
        (float("nan"), None, True),
        (0.0, None, False),
        (None, None, False),
        (float("nan"), 1.0, False),
        (float("inf"), 1.0, False),
        (3, 3, True),
        (3, 4, False),
        ("a", "a", True),
        ("a", "b", False),
        ("1", 1, False),
        (1, "1", False),
        ([0.1, 0.2], [0.1, 0.2], True),
        ([0.1], [0.1, 0.2], False),
        (0.1, [0.1], False),
        ("ab", ["a", "b"], False),
    ],
)
def test_close(got: Any, wanted: Any, met: bool) -> None:
    """Golden values are met within 1e-5 relative plus 1e-6; strings, integers and NaN exactly."""
    assert close(got, wanted) is met


def test_cells() -> None:
    """Cells are exact in float32, NaN is null, and infinity is no value."""
    assert to_cell(0.1) == 0.10000000149011612
    assert to_cell(float("nan")) is None
    assert to_cell(7) == 7
    assert to_cell("x") == "x"
    with pytest.raises(ValueError, match="infinite"):
        to_cell(1e300)
    with pytest.raises(TypeError, match="not NoneType"):
        to_cell(None)


def test_a_golden_vector_takes_a_trainers_numbers() -> None:
    """Numpy's and NaN, as they stand in the matrix; what is no value of a column is refused."""
    row = {"a": np.float32(0.1), "b": np.int64(7), "c": np.nan, "d": np.str_("x"), "e": 0.1}
    made = GoldenVector(case="usual", columns=row, outputs={})
    single = 0.10000000149011612
    assert made.columns == {"a": single, "b": 7, "c": None, "d": "x", "e": single}
    assert GoldenVector.model_validate_json(made.model_dump_json()) == made
    for wrong in (np.inf, 1e300, [0.1], np.array([0.1])):
        with pytest.raises(ValidationError):
            GoldenVector(case="wrong", columns={"a": wrong}, outputs={})


def test_binary_events() -> None:
    """A value that is no JSON travels as base64; a tombstone has neither, and no record has both."""
    assert GoldenEvent(topic="t", value_base64="AP8=").record().value == b"\x00\xff"
    assert GoldenEvent(topic="t", value={"ä": 1.5}).record().value == '{"ä":1.5}'.encode()
    assert GoldenEvent(topic="t").record().value is None
    assert GoldenEvent.of(LogRecord(None, topic="t")).record().value is None
    with pytest.raises(ValidationError, match="one of them"):
        GoldenEvent(topic="t", value=1, value_base64="AP8=")
