"""LightGBM: trees whose thresholds single precision holds exactly."""

from __future__ import annotations

from typing import Any, Final

import lightgbm
import numpy as np
import numpy.typing as npt
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType

from stream_app.training.errors import PackageError
from stream_app.training.export.answers import serialized
from stream_app.training.export.exported import Exported
from stream_app.training.export.trees import INPUT, OPSET, answer_of_trees, columns_of
from stream_app.training.matrix import Matrix

__all__ = ["export"]

_TWO_CLASSES: Final = ("binary",)
_MORE_CLASSES: Final = ("multiclass", "multiclassova")


def export(model: Any, matrix: Matrix) -> Exported:
    """A booster, or a model of LightGBM's scikit-learn interface."""
    booster = model if isinstance(model, lightgbm.Booster) else model.booster_
    columns = columns_of(matrix, booster.feature_name(), booster.num_feature())
    if booster.pandas_categorical:
        raise PackageError(
            "the booster encodes categories of its own: encode them by fit_ordinal or fit_one_hot, so "
            "that serving makes the same numbers."
        )
    objective = str(booster.dump_model()["objective"]).partition(" ")[0]
    classes = booster.num_model_per_iteration()
    try:
        proto = convert_lightgbm(
            _in_single_precision(booster),
            initial_types=[(INPUT, FloatTensorType([None, booster.num_feature()]))],
            zipmap=False,
            # The newest that its converter knows without a warning.
            target_opset=min(OPSET, 15),
        )
    except NotImplementedError as error:
        raise PackageError(f"the booster has no form in ONNX: {error}") from None
    output = answer_of_trees(
        proto, two=objective in _TWO_CLASSES, more=objective in _MORE_CLASSES, classes=classes
    )

    def predict(rows: Matrix) -> dict[str, npt.NDArray[Any]]:
        return {output: np.asarray(booster.predict(rows.only(*columns).array()))}

    used = ("lightgbm", "onnxmltools", "onnx")
    return Exported(serialized(proto), predict, {INPUT: columns}, (output,), used)


def _in_single_precision(booster: lightgbm.Booster) -> lightgbm.Booster:
    """The same trees with thresholds that single precision holds exactly.

    LightGBM's thresholds are doubles between two values of a column. Rounded to the nearest single,
    some land on the upper value and send its rows the other way. Rounded down, a single x is below
    or at the threshold exactly when it was before.
    """
    # The sizes are those of the trees as text, which changes; without them the text is parsed.
    lines = [
        line for line in booster.model_to_string().split("\n") if not line.startswith("tree_sizes=")
    ]
    for i, line in enumerate(lines):
        name, _, values = line.partition("=")
        if name == "threshold" and values:
            thresholds = np.array(values.split(), dtype=np.float64)
            nearest = thresholds.astype(np.float32)
            below = np.nextafter(nearest, np.float32(-np.inf))
            down = np.where(nearest > thresholds, below, nearest)
            lines[i] = f"threshold={' '.join(repr(float(value)) for value in down)}"
    return lightgbm.Booster(model_str="\n".join(lines))
