"""From a fitted model to a graph that serves: a file a kind of model."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from stream_app.training.errors import PackageError
from stream_app.training.export.exported import Exported
from stream_app.training.export.onnx_file import is_onnx, read_onnx
from stream_app.training.matrix import Matrix

__all__ = ["Exported", "export"]

#: The package in which a model's class, or one it derives from, is defined, to the module that
#: exports it. A LightGBM or XGBoost model derives from scikit-learn's too: they come first.
_EXPORTERS: Final = {
    "lightgbm": "trees_lightgbm",
    "xgboost": "trees_xgboost",
    "sklearn": "scikit_learn",
    "torch": "pytorch",
}


def export(model: Any, matrix: Matrix) -> Exported:
    """The model as a graph; raises `PackageError` for one of another kind, or without its extra."""
    if is_onnx(model):
        return read_onnx(model)
    packages = [kind.__module__.partition(".")[0] for kind in type(model).__mro__]
    for package, module in _EXPORTERS.items():
        if package not in packages:
            continue
        try:
            exporter = import_module(f"stream_app.training.export.{module}")
        except ImportError as error:
            raise PackageError(
                f"a model of {package} is exported by {error.name}, which is not installed: install "
                "stream-app[training], or hand an ONNX file to package()."
            ) from None
        exported: Exported = exporter.export(model, matrix)
        return exported
    raise PackageError(
        f"a {type(model).__module__}.{type(model).__qualname__} is no model that package() exports: "
        "it takes ONNX (a path, bytes, a ModelProto) and models of "
        f"{', '.join(_EXPORTERS)}. Export it to ONNX yourself."
    )
