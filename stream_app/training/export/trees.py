"""What exports of models over one tensor of numbers have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from stream_app.training.errors import PackageError
from stream_app.training.export.answers import answer_with
from stream_app.training.matrix import Matrix

__all__ = ["INPUT", "ML_OPSET", "OPSET", "answer_of_trees", "columns_of"]

INPUT: Final = "features"
#: Opsets that every ONNX Runtime since 1.14 knows.
OPSET: Final = 17
ML_OPSET: Final = 3


def columns_of(matrix: Matrix, names: Sequence[str], count: int) -> tuple[str, ...]:
    """The matrix's columns that a model with `count` features was fitted on, in its order.

    By the features' `names` where they are those of the matrix, else all columns of numbers in order.
    Raises `PackageError` where neither fits.
    """
    made = {
        column: matrix.encodings[column].names(column) if column in matrix.encodings else (column,)
        for column in matrix.columns
        if column in matrix.encodings or matrix.dtypes[column] != "string"
    }
    column_of = {name: column for column, each in made.items() for name in each}
    known = [name for name in names if name in column_of]
    if known and len(known) == len(names):
        chosen = tuple(dict.fromkeys(column_of[name] for name in names))
        if [name for column in chosen for name in made[column]] == list(names):
            return chosen
    elif known:
        strange = next(name for name in names if name not in column_of)
        raise PackageError(
            f"the model was fitted on {strange}, which is no column of numbers of the matrix; it has "
            f"{', '.join(made)}. Fit it on matrix.frame() or matrix.array()."
        )
    if len(column_of) != count or known:
        raise PackageError(
            f"the model was fitted on {count} number{'s' * (count != 1)} a row, the matrix has "
            f"{len(column_of)}: {', '.join(map(_with_width, made.items()))}. Hand the matrix that it was fitted on to package(): "
            "matrix.only(...) with the same columns and encodings, in the same order."
        )
    return tuple(made)


def _with_width(made: tuple[str, Sequence[str]]) -> str:
    """``amount``, or ``country (3)`` for one that is encoded as three numbers."""
    column, names = made
    return column if len(names) == 1 else f"{column} ({len(names)})"


def answer_of_trees(proto: Any, *, two: bool, more: bool, classes: int) -> str:
    """Let a graph of boosted trees give one output under the name of what it is; return the name.

    The `probability` of the second of two classes, of shape (rows,); the `probabilities` of more
    classes, of shape (rows, classes); else a number, the `prediction`, of shape (rows,).
    """
    source = proto.graph.output[-1].name
    if two:
        answer_with(proto, source, "probability", pick=1)
        return "probability"
    if more:
        answer_with(proto, source, "probabilities", width=classes)
        return "probabilities"
    answer_with(proto, source, "prediction", pick=0)
    return "prediction"
