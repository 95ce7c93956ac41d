"""scikit-learn: estimators and pipelines, over one tensor of numbers or an input a column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.base import is_classifier

from stream_app.training.errors import PackageError
from stream_app.training.export.answers import answer_with, serialized
from stream_app.training.export.exported import Exported
from stream_app.training.export.pipeline_boosters import register_boosters
from stream_app.training.export.trees import INPUT, ML_OPSET, OPSET, columns_of
from stream_app.training.matrix import Matrix

__all__ = ["export"]


def export(model: Any, matrix: Matrix) -> Exported:
    """An estimator, or a pipeline that ends in one."""
    if is_classifier(model) and len(getattr(model, "classes_", (0, 1))) == 1:
        raise PackageError(
            f"the {type(model).__name__} was fitted on labels that are all {model.classes_[0]}: it "
            "cannot tell anything apart. Where no outcome means 0, give the use case's Outcome "
            "absent_after_seconds=, or take a longer log."
        )
    columns, types, is_one = _inputs(model, matrix)
    probabilities = is_classifier(model) and hasattr(model, "predict_proba")
    options = {"zipmap": False} if probabilities else None
    register_boosters()
    opsets = {"": OPSET, "ai.onnx.ml": ML_OPSET}
    try:
        proto = to_onnx(model, initial_types=types, options=options, target_opset=opsets)
    except Exception as error:  # skl2onnx's have no common class
        why = " ".join(str(error).split())
        raise PackageError(f"the {type(model).__name__} has no form in ONNX: {why}") from error
    names = _name_outputs(proto, model, probabilities)

    def predict(rows: Matrix) -> dict[str, npt.NDArray[Any]]:
        return _predicted(model, names, _data(rows, columns, is_one, len(types)))

    inputs = {INPUT: columns} if is_one else {column: (column,) for column in columns}
    used = ("scikit-learn", "skl2onnx", "onnx")
    return Exported(serialized(proto), predict, inputs, names, used)


def _inputs(model: Any, matrix: Matrix) -> tuple[tuple[str, ...], list[tuple[str, Any]], bool]:
    """Columns, skl2onnx's types of the inputs, and whether it is one tensor of all of them."""
    names: Sequence[str] = [str(name) for name in getattr(model, "feature_names_in_", ())]
    text = {c for c, dtype in matrix.dtypes.items() if dtype == "string"} - {*matrix.encodings}
    chosen = tuple(names or matrix.columns)
    if not text & {*chosen}:
        count = int(getattr(model, "n_features_in_", len(chosen)))
        columns = columns_of(matrix, names, count)
        return columns, [(INPUT, FloatTensorType([None, count]))], True
    missing = [name for name in chosen if name not in matrix.columns]
    if missing:
        raise PackageError(
            f"the model was fitted on {missing[0]}, which is no column of the matrix; it has "
            f"{', '.join(matrix.columns)}."
        )
    types = []
    for name in chosen:
        kind = StringTensorType if name in text else FloatTensorType
        if name not in text and matrix.dtypes[name] == "int64":
            kind = Int64TensorType
        types.append((name, kind([None, 1])))
    return chosen, types, False


def _data(rows: Matrix, columns: Sequence[str], is_one: bool, count: int) -> Any:
    if is_one:
        return rows.only(*columns).array()
    # A pipeline over one column of text takes the texts, one over several a frame.
    return rows.columns[columns[0]] if count == 1 else rows.only(*columns).frame()


def _name_outputs(proto: Any, model: Any, probabilities: bool) -> tuple[str, ...]:
    outputs = [output.name for output in proto.graph.output]
    if probabilities:
        classes = len(model.classes_)
        if classes == 2:
            answer_with(proto, outputs[-1], "probability", pick=1)
            return ("probability",)
        label = _output(proto, outputs[0])
        answer_with(proto, outputs[-1], "probabilities", width=classes)
        proto.graph.output.insert(0, label)
        return (outputs[0], "probabilities")
    if not is_classifier(model) and len(outputs) == 1 and hasattr(model, "predict"):
        shape = proto.graph.output[0].type.tensor_type.shape.dim
        if len(shape) > 1 and shape[1].dim_value == 1:
            answer_with(proto, outputs[0], "prediction", pick=0)
            return ("prediction",)
    return tuple(outputs)


def _output(proto: Any, name: str) -> Any:
    """A copy of one of the graph's outputs."""
    (found,) = (output for output in proto.graph.output if output.name == name)
    copy = type(found)()
    copy.CopyFrom(found)
    return copy


def _predicted(model: Any, names: Sequence[str], data: Any) -> dict[str, npt.NDArray[Any]]:
    if names == ("probability",):
        return {"probability": model.predict_proba(data)[:, 1]}
    if names[-1] == "probabilities":
        return {names[0]: model.predict(data), names[-1]: model.predict_proba(data)}
    if names == ("prediction",):
        return {"prediction": np.asarray(model.predict(data)).reshape(-1)}
    if is_classifier(model):
        return {names[0]: model.predict(data)}
    # Of other kinds (outliers, clusters) an output's meaning is not known here.
    return {}
