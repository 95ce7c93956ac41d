"""Fitting the numbers that stand for texts, on the rows a model is trained on.

Each function takes a column that is declared with ``dtype="string"``, and returns its name with the
encoding, for `Matrix.encode`.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from stream_app.features.model_version.encodings import OneHot, Ordinal
from stream_app.training.errors import MatrixError
from stream_app.training.matrix import Matrix

__all__ = ["fit_one_hot", "fit_ordinal", "fit_target_mean"]


def fit_ordinal(matrix: Matrix, column: str, *, unseen: float = -1.0) -> tuple[str, Ordinal]:
    """The place of each text among those of the column, in alphabetical order, from 0.

    `unseen` stands for a text that has none. The result is for `Matrix.encode`, see `fit_one_hot`.
    Raises `MatrixError` for a column that is not text.
    """
    codes = {text: float(at) for at, text in enumerate(sorted(_counts(matrix, column)))}
    return column, Ordinal(codes=codes, unseen=unseen)


def fit_one_hot(matrix: Matrix, column: str, *, most: int = 50) -> tuple[str, OneHot]:
    """A number for each of the column's `most` frequent texts, 1 for the text that it holds.

    A text that is not among them, or was never seen, is zeros. The column is declared with
    ``dtype="string"``; what is returned is for `Matrix.encode`, of rows to train on and to test with::

        kinds = fit_one_hot(train, "kind")
        train, test = train.encode(kinds), test.encode(kinds)
        model.fit(train.array(), train.labels)

    `package` keeps it in the version, which applies it when it serves. Raises `MatrixError` for a
    column that is not text.
    """
    counts = _counts(matrix, column)
    frequent = sorted(counts, key=lambda text: (-counts[text], text))[:most]
    return column, OneHot(values=tuple(sorted(frequent)))


def fit_target_mean(matrix: Matrix, column: str, *, weight: float) -> tuple[str, Ordinal]:
    """The mean label of each text, drawn towards the mean of all by `weight` rows of it.

    A text that was not seen has the mean of all. Exact in float32. Only rows with a label count. The
    result is for `Matrix.encode`, see `fit_one_hot`. Raises `MatrixError` for a column that is not
    text.
    """
    rows = matrix.labelled()
    texts = _column(rows, column)
    prior = float(rows.labels.mean())
    names, index = np.unique(texts.astype(str), return_inverse=True)
    sums = np.bincount(index, weights=rows.labels)
    means = ((sums + weight * prior) / (np.bincount(index) + weight)).astype(np.float32)
    codes = dict(zip(names.tolist(), means.tolist(), strict=True))
    return column, Ordinal(codes=codes, unseen=float(np.float32(prior)))


def _counts(matrix: Matrix, column: str) -> Counter[str]:
    return Counter(_column(matrix, column).tolist())


def _column(matrix: Matrix, column: str) -> np.ndarray:
    if matrix.dtypes.get(column) != "string" or column not in matrix.columns:
        raise MatrixError(
            f'{column} is no column of text, so it takes no encoding: declare it with dtype="string".'
        )
    if not len(matrix):
        raise MatrixError(f"{column} has no rows to fit an encoding on.")
    return matrix.columns[column]
