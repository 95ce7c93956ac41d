"""XGBoost: trees, in single precision as they are."""

from __future__ import annotations

import json
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import xgboost
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

from stream_app.training.errors import PackageError
from stream_app.training.export.answers import serialized
from stream_app.training.export.exported import Exported
from stream_app.training.export.trees import INPUT, OPSET, answer_of_trees, columns_of
from stream_app.training.matrix import Matrix

__all__ = ["export"]

_TWO_CLASSES: Final = ("binary:logistic",)
_MORE_CLASSES: Final = ("multi:softprob", "multi:softmax")


def export(model: Any, matrix: Matrix) -> Exported:
    """A booster, or a model of XGBoost's scikit-learn interface."""
    booster = model if isinstance(model, xgboost.Booster) else model.get_booster()
    count = booster.num_features()
    names = booster.feature_names or ()
    columns = columns_of(matrix, names, count)
    if any(kind == "c" for kind in booster.feature_types or ()):
        raise PackageError(
            "the booster encodes categories of its own: encode them by fit_ordinal or fit_one_hot, so "
            "that serving makes the same numbers."
        )
    learner = json.loads(booster.save_config())["learner"]
    objective = learner["objective"]["name"]
    classes = int(learner["learner_model_param"].get("num_class", "0"))
    # The converter takes no names of its users' own.
    plain = xgboost.Booster(model_file=bytearray(booster.save_raw("json")))
    plain.feature_names = None
    plain.feature_types = None
    try:
        proto = convert_xgboost(
            plain,
            initial_types=[(INPUT, FloatTensorType([None, count]))],
            target_opset=min(OPSET, 15),
        )
    except (NotImplementedError, RuntimeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise PackageError(f"the booster has no form in ONNX: {why}") from None
    output = answer_of_trees(
        proto, two=objective in _TWO_CLASSES, more=objective in _MORE_CLASSES, classes=classes
    )

    def predict(rows: Matrix) -> dict[str, npt.NDArray[Any]]:
        data = xgboost.DMatrix(rows.only(*columns).array())
        return {output: np.asarray(plain.predict(data))}

    used = ("xgboost", "onnxmltools", "onnx")
    return Exported(serialized(proto), predict, {INPUT: columns}, (output,), used)
