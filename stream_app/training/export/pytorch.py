"""PyTorch: a module over one tensor of numbers, or with an argument a column."""

from __future__ import annotations

import inspect
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxscript  # noqa: F401 - torch exports by it; its absence is told before anything is done
import torch

from stream_app.text.foreign import bounded
from stream_app.training.errors import PackageError
from stream_app.training.export.exported import Exported
from stream_app.training.export.onnx_file import read_onnx
from stream_app.training.export.trees import INPUT, columns_of
from stream_app.training.matrix import Matrix

__all__ = ["export"]

#: Rows to trace with: more than one, so that their number is not taken for a constant.
_ROWS: Final = 3
#: Known to every ONNX Runtime since 1.14.
_OPSET: Final = 18
#: What a tensor that a module gives may hold.
_SERVED: Final = (torch.float32, torch.float64, torch.int64, torch.bool)
#: Columns that a module with an argument a column is given as they are; others are numbers.
_AS_THEY_ARE: Final = ("int64", "bool")

_Inputs = Mapping[str, tuple[str, ...]]


def export(model: Any, matrix: Matrix) -> Exported:
    """A module, in evaluation mode, with the rows' axis free; its own mode is left as it was.

    A module of one argument takes all columns of numbers as a tensor of shape (rows, width), one of
    several arguments the column of each argument's name, of shape (rows, 1). Numbers are float32, or
    float64 where the module's parameters are; int64 and bool columns that are arguments stay what they
    are. Outputs are called ``output``, or ``output_0`` and so on where there are several.
    """
    model = _module(model)
    kind = _dtype_of(model)
    inputs = _inputs(model, matrix)
    some = matrix.take(np.arange(_ROWS) % len(matrix))
    example = _tensors(some, inputs, kind)
    with _evaluating(model):
        names = _names(model, _run(model, example))
        graph = _graph(model, example, [*inputs], names)

    def predict(rows: Matrix) -> dict[str, npt.NDArray[Any]]:
        with _evaluating(model):
            results = _several(_run(model, _tensors(rows, inputs, kind)))
        return {name: each.numpy() for name, each in zip(names, results, strict=True)}

    return Exported(graph, predict, inputs, names, ("torch", "onnxscript", "onnx"))


def _module(model: Any) -> Any:
    """What `torch.compile` was given, else the module itself; raises `PackageError`."""
    model = getattr(model, "_orig_mod", model)
    if isinstance(model, torch.jit.ScriptModule) or not isinstance(model, torch.nn.Module):
        raise PackageError(
            f"a {type(model).__qualname__} is no module that is exported here: hand the "
            "torch.nn.Module that it was made of to package(), or export it to ONNX yourself."
        )
    return model


def _dtype_of(model: Any) -> Any:
    """The dtype of the numbers that the module takes: that of its parameters."""
    for each in (*model.parameters(), *model.buffers()):
        if each.device.type != "cpu":
            raise PackageError(
                f"the {_name(model)} is on the device {each.device}: export it from the processor, by "
                'model.to("cpu").'
            )
        if each.dtype in (torch.float32, torch.float64):
            return each.dtype
        if each.is_floating_point():
            raise PackageError(
                f"the {_name(model)} has parameters of {_plain(each.dtype)}, which is not served: "
                "export it after model.float()."
            )
    return torch.float32


def _inputs(model: Any, matrix: Matrix) -> dict[str, tuple[str, ...]]:
    arguments = [
        name
        for name, each in inspect.signature(model.forward).parameters.items()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if len(arguments) == 1 and arguments[0] not in matrix.columns:
        numbers = [
            c for c in matrix.columns if c in matrix.encodings or matrix.dtypes[c] != "string"
        ]
        width = sum(matrix.encodings[c].width if c in matrix.encodings else 1 for c in numbers)
        return {INPUT: columns_of(matrix, (), width)}
    if not arguments:
        raise PackageError(
            f"the forward of {_name(model)} names no argument that it needs: let it take one tensor of "
            "all columns of numbers, or an argument a column."
        )
    missing = [name for name in arguments if name not in matrix.columns]
    if missing:
        raise PackageError(
            f"the module's forward takes {missing[0]}, which is no column of the matrix; it has "
            f"{', '.join(matrix.columns)}. With one argument it takes all columns of numbers."
        )
    texts = [c for c in arguments if matrix.dtypes[c] == "string" and c not in matrix.encodings]
    if texts:
        raise PackageError(
            f"the module's forward takes {texts[0]}, a column of text, and a tensor of PyTorch holds "
            f'none: encode it, for example by matrix.encode(fit_ordinal(train, "{texts[0]}")).'
        )
    return {name: (name,) for name in arguments}


def _tensors(rows: Matrix, inputs: _Inputs, kind: Any) -> tuple[Any, ...]:
    made = []
    for name, columns in inputs.items():
        chosen = rows.only(*columns)
        if name == columns[0] and name not in chosen.encodings:
            values = chosen.columns[name].reshape(-1, 1)
            is_kept = chosen.dtypes[name] in _AS_THEY_ARE
        else:
            # In the widest of their dtypes first, so that doubles lose nothing where they are taken.
            values = np.column_stack([*chosen.numbers().values()])
            is_kept = False
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        made.append(tensor if is_kept else tensor.to(kind))
    return tuple(made)


def _run(model: Any, tensors: tuple[Any, ...]) -> Any:
    try:
        with torch.no_grad():
            return model(*tensors)
    except Exception as error:
        told = ", ".join(f"{_plain(each.dtype)} of shape {tuple(each.shape)}" for each in tensors)
        raise PackageError(
            f"the forward of {_name(model)} raises for {told}: {_told(error)}. Fit it on "
            "matrix.array(), or give it an argument a column."
        ) from error


def _several(given: Any) -> tuple[Any, ...]:
    return given if isinstance(given, tuple) else (given,)


def _names(model: Any, given: Any) -> list[str]:
    """The names of what `forward` gives; raises `PackageError` for what cannot be served."""
    results = _several(given)
    for each in results:
        if not isinstance(each, torch.Tensor):
            raise PackageError(
                f"the forward of {_name(model)} gives a {type(each).__qualname__}: let it return a "
                "tensor, or a tuple of tensors."
            )
        if each.dtype not in _SERVED:
            mend = ".float()" if each.is_floating_point() else ".long()"
            raise PackageError(
                f"the forward of {_name(model)} gives {_plain(each.dtype)}: end it by {mend}; served "
                f"are {', '.join(map(_plain, _SERVED))}."
            )
        if not each.dim() or len(each) != _ROWS:
            raise PackageError(
                f"the forward of {_name(model)} gives the shape {tuple(each.shape)} for {_ROWS} rows: "
                "let the rows be the first axis of what it returns."
            )
    return ["output"] if len(results) == 1 else [f"output_{i}" for i in range(len(results))]


def _graph(model: Any, example: tuple[Any, ...], inputs: list[str], names: list[str]) -> bytes:
    rows = torch.export.Dim("rows")
    file = io.BytesIO()
    try:
        with _quiet():
            torch.onnx.export(
                model,
                example,
                file,
                input_names=inputs,
                output_names=names,
                dynamic_shapes=tuple({0: rows} for _ in example),
                dynamo=True,
                external_data=False,
                opset_version=_OPSET,
                verbose=False,
            )
    except Exception as error:
        raise PackageError(f"the {_name(model)} has no form in ONNX: {_why(error)}") from error
    made = onnx.ModelProto()
    made.ParseFromString(file.getvalue())
    if any(o.type.tensor_type.shape.dim[0].HasField("dim_value") for o in made.graph.output):
        raise PackageError(
            f"the {_name(model)} has no form in ONNX for any number of rows: its forward goes through "
            "the rows in a loop, or has their number as a constant. Let it compute on whole tensors."
        )
    return read_onnx(file.getvalue()).graph


def _why(error: BaseException) -> str:
    """The first of its causes, in its own words: torch wraps it in pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    told = _told(error)
    if "data-dependent" in told:
        return (
            f"{told}. Its forward takes another way for other values: let it compute both and "
            "choose by torch.where."
        )
    return f"{told}."


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Each part in evaluation mode, and afterwards in the mode that it was in."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's warnings of what its exporter does without, and its dumps of what failed."""
    loggers = [
        each
        for name, each in logging.root.manager.loggerDict.items()
        if isinstance(each, logging.Logger) and name.partition(".")[0] == "torch"
    ]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL)
    dumps = io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(dumps), redirect_stderr(dumps):
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def _told(error: BaseException) -> str:
    """The first sentence of an exception of torch."""
    text = " ".join(str(error).split()) or type(error).__qualname__
    return bounded(text.partition(". ")[0].removesuffix("."), 300)


def _name(model: Any) -> str:
    return type(model).__qualname__


def _plain(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")
