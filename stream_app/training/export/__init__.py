"""From a fitted model to a graph that serves: a file a kind of model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any, Final

import numpy.typing as npt

from stream_app.training.errors import PackageError
from stream_app.training.export.exported import Exported
from stream_app.training.export.onnx_file import is_onnx, read_onnx, renamed
from stream_app.training.matrix import Matrix

__all__ = ["Exported", "export"]

#: The extras that an export needs beside `training`.
_EXTRAS: Final = {"xgboost": ",xgboost", "torch": ",pytorch"}

#: The package in which a model's class, or one it derives from, is defined, to the module that
#: exports it. A LightGBM or XGBoost model derives from scikit-learn's too: they come first.
_EXPORTERS: Final = {
    "lightgbm": "trees_lightgbm",
    "xgboost": "trees_xgboost",
    "sklearn": "scikit_learn",
    "torch": "pytorch",
}


def export(model: Any, matrix: Matrix, names: Mapping[str, str] | None = None) -> Exported:
    """The model as a graph; raises `PackageError` for one of another kind, or without its extra.

    `names`: other names for outputs, old to new.
    """
    exported = _export(model, matrix)
    if not names:
        return exported

    def predict(rows: Matrix) -> dict[str, npt.NDArray[Any]]:
        return {names.get(name, name): values for name, values in exported.predict(rows).items()}

    return replace(
        exported,
        graph=renamed(exported.graph, names),
        predict=predict,
        outputs=list(names.values()),
    )


def _export(model: Any, matrix: Matrix) -> Exported:
    if is_onnx(model):
        return read_onnx(model)
    if isinstance(model, type):
        raise PackageError(
            f"{model.__qualname__} is a class: hand a model that was fitted to package()."
        )
    packages = [kind.__module__.partition(".")[0] for kind in type(model).__mro__]
    for package, module in _EXPORTERS.items():
        if package not in packages:
            continue
        try:
            exporter = import_module(f"stream_app.training.export.{module}")
        except ModuleNotFoundError as error:
            raise PackageError(
                f"a model of {package} is exported by {error.name}, which is not installed: install "
                f"stream-app[training{_EXTRAS.get(package, '')}], or hand an ONNX file to package()."
            ) from None
        except ImportError as error:
            raise PackageError(
                f"what exports a model of {package} cannot be imported "
                f"({' '.join(str(error).split())}): mend that, or hand an ONNX file to package()."
            ) from error
        exported: Exported = exporter.export(model, matrix)
        return exported
    raise PackageError(
        f"a {type(model).__module__}.{type(model).__qualname__} is no model that package() exports: "
        "it takes ONNX (a path, bytes, a ModelProto) and models of "
        f"{', '.join(_EXPORTERS)}. Export it to ONNX yourself."
    )
