"""PyTorch: a module over one tensor of numbers, or with an argument a column."""

from __future__ import annotations

import inspect
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from stream_app.training.errors import PackageError
from stream_app.training.export.exported import Exported
from stream_app.training.export.onnx_file import read_onnx
from stream_app.training.export.trees import INPUT, columns_of
from stream_app.training.matrix import Matrix

__all__ = ["export"]

#: Rows to trace with: more than one, so that their number is not taken for a constant.
_ROWS = 3


def export(model: Any, matrix: Matrix) -> Exported:
    """A module, in evaluation mode, with the rows' axis free.

    Its outputs are called ``output``, or ``output_0`` and so on where there are several.
    """
    model = model.eval()
    inputs = _inputs(model, matrix)
    some = matrix.take(np.arange(_ROWS) % len(matrix))
    example = _tensors(some, inputs)
    with torch.no_grad():
        given = model(*example)
    names = (
        ["output"] if not isinstance(given, tuple) else [f"output_{i}" for i in range(len(given))]
    )
    rows = torch.export.Dim("rows")
    file = io.BytesIO()
    try:
        torch.onnx.export(
            model,
            example,
            file,
            input_names=list(inputs),
            output_names=names,
            dynamic_shapes=tuple({0: rows} for _ in example),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    except Exception as error:
        why = " ".join(str(error).split())
        raise PackageError(f"the {type(model).__name__} has no form in ONNX: {why}") from error

    def predict(rows: Matrix) -> dict[str, npt.NDArray[Any]]:
        with torch.no_grad():
            result = model(*_tensors(rows, inputs))
        results = result if isinstance(result, tuple) else (result,)
        return {name: each.numpy() for name, each in zip(names, results, strict=True)}

    graph = read_onnx(file.getvalue()).graph
    return Exported(graph, predict, inputs, names, ("torch", "onnxscript", "onnx"))


def _inputs(model: Any, matrix: Matrix) -> dict[str, tuple[str, ...]]:
    arguments = list(inspect.signature(model.forward).parameters)
    if len(arguments) == 1:
        numbers = [
            c for c in matrix.columns if c in matrix.encodings or matrix.dtypes[c] != "string"
        ]
        width = sum(matrix.encodings[c].width if c in matrix.encodings else 1 for c in numbers)
        return {INPUT: columns_of(matrix, (), width)}
    missing = [name for name in arguments if name not in matrix.columns]
    if missing:
        raise PackageError(
            f"the module's forward takes {missing[0]}, which is no column of the matrix; it has "
            f"{', '.join(matrix.columns)}. With one argument it takes all columns of numbers."
        )
    return {name: (name,) for name in arguments}


def _tensors(rows: Matrix, inputs: dict[str, Sequence[str]] | Any) -> tuple[Any, ...]:
    made = []
    for columns in inputs.values():
        chosen = rows.only(*columns)
        whole = len(columns) == 1 and chosen.dtypes[columns[0]] == "int64"
        if whole and columns[0] not in chosen.encodings:
            array: npt.NDArray[Any] = chosen.columns[columns[0]].reshape(-1, 1)
        else:
            array = chosen.array()
        made.append(torch.from_numpy(np.ascontiguousarray(array)))
    return tuple(made)
