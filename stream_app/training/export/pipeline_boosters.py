"""LightGBM's and XGBoost's models as the last step of a scikit-learn pipeline."""

from __future__ import annotations

import sys
from importlib import import_module

from skl2onnx import update_registered_converter
from skl2onnx.common.shape_calculator import (
    calculate_linear_classifier_output_shapes,
    calculate_linear_regressor_output_shapes,
)

__all__ = ["register_boosters"]

_CONVERTERS = "onnxmltools.convert.{0}.operator_converters.{1}"
_BOOSTERS = (
    ("lightgbm", "LGBM", "LightGbm", "convert_lightgbm"),
    ("xgboost", "XGB", "XGBoost", "convert_xgboost"),
)


def register_boosters() -> None:
    """Tell skl2onnx how those that are in use are converted."""
    for package, prefix, module, function in _BOOSTERS:
        in_use = sys.modules.get(package)
        if in_use is None:
            continue
        convert = getattr(import_module(_CONVERTERS.format(package, module)), function)
        update_registered_converter(
            getattr(in_use, f"{prefix}Classifier"),
            f"{package}Classifier",
            calculate_linear_classifier_output_shapes,
            convert,
            options={"nocl": [True, False], "zipmap": [True, False, "columns"]},
        )
        update_registered_converter(
            getattr(in_use, f"{prefix}Regressor"),
            f"{package}Regressor",
            calculate_linear_regressor_output_shapes,
            convert,
        )
