"""Golden vectors: rows of a matrix that stand for something, and made-up ones at the edges."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_app.features.model_version.baseline import Baseline, Categories
from stream_app.features.model_version.golden import GoldenVector, to_cell
from stream_app.features.model_version.manifest import Manifest
from stream_app.features.views import Dtype, FeatureSet
from stream_app.models.model import Model
from stream_app.models.samples import golden_row
from stream_app.training.matrix import Matrix

__all__ = ["golden_vectors"]

_UNSEEN = "never seen in training"
#: Far beyond what training saw: so many times its lowest and highest values.
_BEYOND = 10.0


def golden_vectors(
    model: Model,
    matrix: Matrix,
    results: Mapping[str, npt.NDArray[Any]],
    features: FeatureSet,
    baseline: Baseline,
) -> list[GoldenVector]:
    """Vectors of each case, with the outputs that the model gives as it will serve.

    `results`: the graph's outputs for the matrix. A made-up row with an infinite output is left out.
    """
    manifest = model.manifest
    names = list(manifest.columns())
    rows = _rows(matrix, names, _order(results))
    cells = [(case, dict(zip(names, row, strict=True))) for case, row in rows]
    usual = dict(cells[0][1])
    cells += _edges(manifest, usual, matrix, features.dtypes, baseline)
    drafts = [GoldenVector(case=case, columns=row, outputs={}) for case, row in cells]
    outputs = model.score([golden_row(draft, features) for draft in drafts])
    vectors = []
    for at, draft in enumerate(drafts):
        found = {name: values[at].tolist() if values.ndim > 1 else _item(values[at])
                 for name, values in outputs.items()}  # fmt: skip
        if not any(_is_infinite(values[at]) for values in outputs.values()):
            vectors.append(draft.model_copy(update={"outputs": _with_nulls(found)}))
    return vectors


def _rows(
    matrix: Matrix, names: Sequence[str], order: npt.NDArray[np.int64]
) -> Iterator[tuple[str, list[Any]]]:
    """Rows of the matrix: by their outputs, by what is missing, first and last."""
    missing = np.zeros(len(matrix), dtype=np.int64)
    for name in names:
        column = matrix.columns[name]
        if column.dtype.kind == "f":
            missing += np.isnan(column)
    picked = {
        "a middling output": int(order[len(order) // 2]),
        "the lowest output": int(order[0]),
        "the highest output": int(order[-1]),
        "the most numbers missing": int(missing.argmax()),
        "the fewest numbers missing": int(missing.argmin()),
        "the first row": 0,
        "the last row": len(matrix) - 1,
    }
    for case, at in picked.items():
        yield case, [_cell(matrix.columns[name][at]) for name in names]


def _edges(
    manifest: Manifest,
    usual: Mapping[str, Any],
    matrix: Matrix,
    dtypes: Mapping[str, Dtype],
    baseline: Baseline,
) -> Iterator[tuple[str, dict[str, Any]]]:
    floats = {n: None for n in manifest.numbers() if dtypes[n] in ("float32", "float64")}
    texts: dict[str, str] = {}
    for name in manifest.texts():
        known = baseline.columns[name]
        assert isinstance(known, Categories)
        unseen = _UNSEEN
        while unseen in known.shares:
            unseen += "!"
        texts[name] = unseen
    yield "every number missing", {**usual, **floats}
    for name in floats:
        yield f"{name} missing", {**usual, name: None}
    if texts:
        yield "every text unseen", {**usual, **texts}
        yield "every text empty", {**usual, **dict.fromkeys(texts, "")}
    for name in texts:
        yield f"{name} unseen", {**usual, name: texts[name]}
    yield "nothing known", {**usual, **floats, **texts}
    for case, pick in (("low", np.nanmin), ("high", np.nanmax)):
        extreme = {}
        for name in floats:
            column = matrix.columns[name]
            if not np.isnan(column).all():
                extreme[name] = _cell(np.float32(pick(column)))
        yield f"every number as {case} as in training", {**usual, **extreme}
        if extreme:
            far = {name: to_cell(float(value) * _BEYOND) for name, value in extreme.items()}
            yield f"every number ten times as {case}", {**usual, **far}


def _order(results: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """Rows by the last number of the first output of numbers; as they are where there is none."""
    for values in results.values():
        if values.dtype != object:
            return np.argsort(values.reshape(len(values), -1)[:, -1], kind="stable")
    return np.arange(len(next(iter(results.values()))))


def _is_infinite(values: Any) -> bool:
    array = np.asarray(values)
    return array.dtype.kind == "f" and bool(np.isinf(array).any())


def _cell(value: Any) -> Any:
    return bool(value) if isinstance(value, np.bool_) else to_cell(value)


def _item(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _with_nulls(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """NaN as null, which is what a golden output of a number that is none is."""

    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(each) for each in value]
        return None if isinstance(value, float) and math.isnan(value) else value

    return {name: plain(value) for name, value in outputs.items()}
