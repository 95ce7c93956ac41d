"""What a graph takes and gives, held against the columns of a matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from stream_app.features.model_version.manifest import ModelInput
from stream_app.features.views import Dtype
from stream_app.training.errors import PackageError
from stream_app.training.matrix import Matrix

__all__ = ["Feed", "dtype_of", "inputs_of", "make_feed"]

_DTYPE_OF: Final[Mapping[str, Dtype]] = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
    "tensor(string)": "string",
}
_NUMPY: Final[Mapping[Dtype, Any]] = {
    "float32": np.float32, "float64": np.float64, "int64": np.int64, "bool": np.bool_,
    "string": object,
}  # fmt: skip

Feed = dict[str, npt.NDArray[Any]]


def inputs_of(
    session: Any, matrix: Matrix, given: Mapping[str, Sequence[str]] | None = None
) -> tuple[ModelInput, ...]:
    """The graph's inputs with the columns that each takes; raises `PackageError`.

    `given`: input name to its columns. Else an input that is named as a column takes that column, and
    the other inputs share the other columns by dtype, in the matrix's order.
    """
    nodes = {node.name: node for node in session.get_inputs()}
    unknown = [name for name in given or {} if name not in nodes]
    if unknown:
        raise PackageError(
            f"inputs= names {unknown[0]}, the graph's inputs are {', '.join(nodes)}."
        )
    taken = {name: tuple(columns) for name, columns in (given or {}).items()}
    taken |= {name: (name,) for name in nodes if name in matrix.columns and name not in taken}
    left = [c for c in matrix.columns if not any(c in columns for columns in taken.values())]
    dtypes = {name: dtype_of(node, "input") for name, node in nodes.items()}
    open_ = [name for name in nodes if name not in taken]
    for name in open_:
        mine = _share(left, dtypes[name], {dtypes[other] for other in open_}, matrix)
        if name != open_[-1]:
            mine = _as_many(mine, nodes[name], matrix)
        taken[name] = tuple(mine)
        left = [column for column in left if column not in mine]
    inputs = tuple(
        ModelInput(name=name, dtype=dtypes[name], columns=taken[name])
        for name in nodes
        if taken[name] or _empty(name, matrix)
    )
    for tensor in inputs:
        _check(tensor, nodes[tensor.name], matrix)
    if left and not given and open_:
        raise PackageError(
            f"no input of the graph takes the column {left[0]} ({_cell(left[0], matrix)}); its "
            f"inputs are {_told(nodes.values())}. Leave it out of the matrix by matrix.only(...), "
            "encode it, or say which columns an input takes by inputs={...}."
        )
    return inputs


def make_feed(session: Any, inputs: Iterable[ModelInput], matrix: Matrix) -> Feed:
    """The matrix as the graph's input tensors."""
    numbers = matrix.numbers()
    ranks = {node.name: len(node.shape) for node in session.get_inputs()}
    feed: Feed = {}
    for tensor in inputs:
        columns: list[npt.NDArray[Any]] = []
        for name in tensor.columns:
            encoding = matrix.encodings.get(name)
            names = (name,) if encoding is None else encoding.names(name)
            columns += [numbers[each] for each in names]
        kind = _NUMPY[tensor.dtype]
        made = np.column_stack([column.astype(kind) for column in columns]).astype(kind)
        feed[tensor.name] = made.ravel() if ranks[tensor.name] == 1 else made
    return feed


def dtype_of(node: Any, kind: str) -> Dtype:
    """The dtype of an input or output (`kind`); raises `PackageError` for a type that is none."""
    dtype = _DTYPE_OF.get(node.type)
    if dtype is None:
        if "map(" in node.type:
            raise PackageError(
                f"the graph's {kind} {node.name} is {node.type}: export the model without ZipMap "
                '(options={"zipmap": False}), or hand the model itself to package().'
            )
        raise PackageError(
            f"the graph's {kind} {node.name} is {node.type}: cast it in the graph to one of "
            f"{', '.join(_NUMPY)}."
        )
    return dtype


def _cell(column: str, matrix: Matrix) -> str:
    return "encoded numbers" if column in matrix.encodings else matrix.dtypes[column]


def _share(left: Sequence[str], dtype: Dtype, others: set[Dtype], matrix: Matrix) -> Sequence[str]:
    """The columns that an input of the dtype takes where inputs of `others` take the rest."""
    kinds = {c: "number" if c in matrix.encodings else matrix.dtypes[c] for c in left}
    if dtype == "string":
        return [c for c in left if kinds[c] == "string"]
    if dtype == "bool":
        return [c for c in left if kinds[c] == "bool"]
    if dtype == "int64":
        wanted = {"int64"} if "bool" in others else {"int64", "bool"}
        return [c for c in left if kinds[c] in wanted]
    whole: set[str] = {d for d in ("int64", "bool") if d in others}
    whole |= {"bool"} if "int64" in others else set()
    return [c for c in left if kinds[c] != "string" and kinds[c] not in whole]


def _as_many(columns: Sequence[str], node: Any, matrix: Matrix) -> Sequence[str]:
    """As many of the columns as the node's width says; all where it says nothing."""
    width = node.shape[1] if len(node.shape) > 1 else 1
    if not isinstance(width, int):
        return columns
    taken: list[str] = []
    for column in columns:
        if _width(taken, matrix) >= width:
            break
        taken.append(column)
    return taken


def _width(columns: Iterable[str], matrix: Matrix) -> int:
    return sum(matrix.encodings[c].width if c in matrix.encodings else 1 for c in columns)


def _empty(name: str, matrix: Matrix) -> bool:
    raise PackageError(
        f"no column is left for the graph's input {name}: the matrix has "
        f"{', '.join(matrix.columns)}. Say which columns an input takes by inputs={{...}}."
    )


def _check(tensor: ModelInput, node: Any, matrix: Matrix) -> None:
    for column in tensor.columns:
        if column not in matrix.columns:
            raise PackageError(
                f"inputs= gives {tensor.name} the column {column}, which the matrix does not have: "
                f"it has {', '.join(matrix.columns)}."
            )
        kind = "number" if column in matrix.encodings else matrix.dtypes[column]
        fits = {
            "string": kind == "string",
            "bool": kind == "bool",
            "int64": kind in ("int64", "bool"),
        }.get(tensor.dtype, kind != "string")
        if not fits:
            raise PackageError(
                f"the graph's input {tensor.name} is {node.type} and would take the column {column}, "
                f"which is {_cell(column, matrix)}: encode the column (fit_ordinal, fit_one_hot), "
                "leave it out by matrix.only(...), or say what the input takes by inputs={...}."
            )
    width = node.shape[1] if len(node.shape) > 1 else 1
    found = _width(tensor.columns, matrix)
    if isinstance(width, int) and width != found:
        raise PackageError(
            f"the graph's input {tensor.name} takes {width} numbers a row, and the columns for it "
            f"make {found}: {', '.join(tensor.columns)}. Choose them by matrix.only(...) or "
            "inputs={...}."
        )


def _told(nodes: Iterable[Any]) -> str:
    return ", ".join(f"{node.name} {node.type} {node.shape}" for node in nodes)
