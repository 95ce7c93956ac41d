"""Scoring: rows in, named outputs out, the same bytes in any batch."""

import math
from typing import Any

import numpy as np
import pytest

from stream_app.features.model_version.golden import GoldenVector
from stream_app.features.model_version.manifest import ModelOutput
from stream_app.models import Model, ScoringError, finite
from stream_app.models.tensors import to_tensor
from tests.unit.models.conftest import MakeRow
from tests.unit.models.sales import Version, expected, manifest


def test_scores(model: Model, make_row: MakeRow) -> None:
    """Each row gets what the arithmetic gives by hand, unseen shops and missing numbers included."""
    rows = [make_row() for _ in range(200)]
    outputs = model.score(rows)
    assert outputs.keys() == {"score"}
    assert outputs["score"].dtype == np.float32
    assert outputs["score"].shape == (200,)
    hand = [expected(None if math.isnan(m) else m, p, s, n) for m, p, s, n, _ in rows]
    np.testing.assert_allclose(outputs["score"], hand, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [2, 3, 7, 32, 50, 51, 64, 256, 300])
def test_same_bytes_in_any_batch(model: Model, make_row: MakeRow, size: int) -> None:
    """A row gives the same bytes alone and in a batch."""
    rows = [make_row() for _ in range(300)]
    alone = b"".join(model.score([row])["score"].tobytes() for row in rows)
    together = b"".join(
        model.score(rows[at : at + size])["score"].tobytes() for at in range(0, 300, size)
    )
    assert together == alone


def test_tuples_and_numpy_numbers(model: Model) -> None:
    """A row may be a tuple, and its numbers numpy's or integers."""
    row = [3.0, 2.0, "north", 5, 1.0]
    other: list[Any] = [(np.float64(3.0), 2, np.str_("north"), np.int64(5), None)]
    assert model.score(other)["score"].tobytes() == model.score([row])["score"].tobytes()


@pytest.mark.parametrize(
    "row",
    [
        ["3.0", 2.0, "north", 5, 1.0],
        [None, 2.0, "north", 5, 1.0],
        [3.0, 2.0, None, 5, 1.0],
        [3.0, 2.0, 7, 5, 1.0],
        [3.0, 2.0, "north", 5.0, 1.0],
        [3.0, 2.0, "north", 2**63, 1.0],
        [3.0, 2.0, "north"],
        [3.0, 2.0, "\ud800", 5, 1.0],
        [3.0],
    ],
)
def test_row_it_cannot_take(model: Model, row: list[Any]) -> None:
    """A value of another type fails the batch and names the model: nothing is guessed."""
    good = [3.0, 2.0, "north", 5, 1.0]
    with pytest.raises(ScoringError, match=r"sales 1 cannot score 3 row\(s\)"):
        model.score([good, row, good])


def test_rounding(version: Version, make_row: MakeRow) -> None:
    """Float outputs are rounded to the manifest's decimals, others are left alone."""
    outputs = (ModelOutput(name="score", dtype="float32"), ModelOutput(name="label", dtype="int64"))
    golden = tuple(
        GoldenVector(
            case=each.case,
            columns=each.columns,
            outputs={"score": round(float(str(each.outputs["score"])), 2), "label": 1},
        )
        for each in version.golden
    )
    model = version.but(manifest=manifest(outputs=outputs, score_decimals=2), golden=golden).load()
    rows = [make_row() for _ in range(50)]
    exact = version.but(folder=version.folder.parent / "2").load().score(rows)["score"]
    rounded = model.score(rows)
    assert rounded["label"].dtype == np.int64
    assert rounded["score"].dtype == np.float32
    assert [f"{x:.2f}" for x in exact] == [f"{x:.2f}" for x in rounded["score"]]
    assert all(float(f"{x:.2f}") == pytest.approx(x, rel=1e-7) for x in rounded["score"])


def test_finite() -> None:
    """A row is finite where every number of every float output is."""
    mask = finite(
        {
            "score": np.array([1.0, np.nan, 1.0, 1.0], dtype=np.float32),
            "classes": np.array([[1.0, 2.0]] * 3 + [[1.0, np.inf]]),
            "label": np.array([1, 2, 3, 4]),
            "name": np.array(["a", "b", "c", "d"], dtype=object),
        }
    )
    assert mask.tolist() == [True, False, True, False]


def test_finite_without_floats() -> None:
    """Outputs without floats are always finite."""
    assert finite({"label": np.array([1, 2])}).tolist() == [True, True]


ROWS = [[0.1, "a", 7, 1e300, float("nan")], [-2.0, "", -(2**63), 3.4e38, 1e-46]]


@pytest.mark.parametrize("indices", [[0], [3, 4], [0, 3, 4], [4, 0], [3]])
def test_floats_are_rounded_as_numpy_rounds(indices: list[int]) -> None:
    """Neighbouring columns or scattered ones: the same float32 bits as numpy's, too large is inf."""
    tensor = to_tensor("float32", indices)(ROWS)
    with np.errstate(over="ignore"):
        wanted = np.array([[row[i] for i in indices] for row in ROWS], dtype=np.float32)
    assert tensor.flags["C_CONTIGUOUS"]
    assert tensor.dtype == np.float32
    assert tensor.tobytes() == wanted.tobytes()


def test_integers_and_strings() -> None:
    """Integers keep all 64 bits, strings stay objects; a flat tensor has one axis."""
    integers = to_tensor("int64", [2])(ROWS)
    assert integers.tolist() == [[7], [-(2**63)]]
    strings = to_tensor("string", [1], flat=True)(ROWS)
    assert strings.dtype == object
    assert strings.shape == (2,)
    assert strings.tolist() == ["a", ""]


def test_a_short_row_cannot_borrow_from_its_neighbour() -> None:
    """Rows too short never shift the values of others."""
    with pytest.raises(ValueError, match="too few columns"):
        to_tensor("float32", [1, 2])([[1.0, 2.0], [1.0, 2.0, 3.0]])
