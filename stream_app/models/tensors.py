"""From rows of Python values to a graph's input tensors: the hot loop before the model.

Measured for 30 floats and 4 strings a row, batches of 128 (us a row): one `struct` pack of all
doubles 0.5, `numpy.fromiter` 1.3, `numpy.array` of sliced rows 1.5 and of items picked one by one
1.9, an object matrix cast 2.1; strings as objects 0.3, as numpy strings 1.1.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_app.features.views import Dtype

__all__ = ["Rows", "Table", "ToTensor", "to_tensor"]

#: Rows of a feature set's columns, each a flat list or tuple.
Rows = Sequence[Sequence[Any]]

#: Makes one input tensor of rows.
ToTensor = Callable[[Rows], npt.NDArray[Any]]


#: The numbers that stand for each text of a column, and those for any other text.
Table = tuple[Mapping[str, tuple[float, ...]], tuple[float, ...]]


def to_tensor(
    dtype: Dtype,
    indices: Sequence[int],
    *,
    flat: bool = False,
    encoded: Mapping[int, Table] | None = None,
) -> ToTensor:
    """Return the function that makes the tensor of the columns at `indices`.

    The tensor is C-contiguous, of shape (rows, width), or (rows,) where `flat`, and of the dtype,
    strings as objects. `encoded`: of columns of text that become numbers, by index. Without any the
    width is len(indices). Floats are rounded from double as numpy rounds them; too large ones
    become infinite.

    The function raises `struct.error` or `TypeError` for a value of another type and `ValueError`
    for a row that is too short; what it would cost to name the value is left to whoever looks.
    """
    tables = {at: table for at, table in (encoded or {}).items() if at in indices}
    collect = _encoder(indices, tables) if tables else _collector(indices)
    width = len(indices) + sum(len(unseen) - 1 for _, unseen in tables.values())
    shape = (-1,) if flat else (-1, width)

    def values(rows: Rows) -> list[Any]:
        collected = collect(rows)
        if len(collected) != width * len(rows):
            raise ValueError("a row has too few columns")
        return collected

    def singles(rows: Rows) -> npt.NDArray[Any]:
        with np.errstate(over="ignore"):
            return doubles(rows).astype(np.float32)

    def doubles(rows: Rows) -> npt.NDArray[Any]:
        collected = values(rows)
        packed = struct.pack(f"{len(collected)}d", *collected)
        return np.frombuffer(packed, dtype=np.float64).reshape(shape)

    def integers(rows: Rows) -> npt.NDArray[Any]:
        collected = values(rows)
        packed = struct.pack(f"{len(collected)}q", *collected)
        return np.frombuffer(packed, dtype=np.int64).reshape(shape)

    def booleans(rows: Rows) -> npt.NDArray[Any]:
        numbers = integers(rows)
        if not np.isin(numbers, (0, 1)).all():
            raise TypeError("a column of bool holds something else")
        return numbers.astype(np.bool_)

    def strings(rows: Rows) -> npt.NDArray[Any]:
        collected = values(rows)
        # ONNX Runtime would take None for the string "None".
        if set(map(type, collected)) != {str} and not all(isinstance(s, str) for s in collected):
            raise TypeError("a string column holds something else")
        array = np.empty(len(collected), dtype=object)
        array[:] = collected
        return array.reshape(shape)

    makers: dict[Dtype, ToTensor] = {
        "float32": singles, "float64": doubles, "int64": integers, "bool": booleans,
        "string": strings,
    }  # fmt: skip
    return makers[dtype]


def _encoder(indices: Sequence[int], tables: Mapping[int, Table]) -> Callable[[Rows], list[Any]]:
    """Collect as `_collector` does, with numbers in the place of texts."""
    # Neighbours that are no texts are taken by one slice.
    steps: list[tuple[int, int, Table | None]] = []
    for at in indices:
        if steps and steps[-1][2] is None and steps[-1][1] == at and at not in tables:
            steps[-1] = (steps[-1][0], at + 1, None)
        else:
            steps.append((at, at + 1, tables.get(at)))

    def encoded(rows: Rows) -> list[Any]:
        collected: list[Any] = []
        for row in rows:
            for first, last, table in steps:
                if table is None:
                    collected += row[first:last]
                    continue
                known, unseen = table
                text = row[first]
                if not isinstance(text, str):
                    raise TypeError("a string column holds something else")
                collected += known.get(text, unseen)
        return collected

    return encoded


def _collector(indices: Sequence[int]) -> Callable[[Rows], list[Any]]:
    """Collect the values at `indices` of all rows, row after row, in one list."""
    first, last = indices[0], indices[-1] + 1
    if list(indices) == list(range(first, last)):

        def neighbours(rows: Rows) -> list[Any]:
            collected: list[Any] = []
            for row in rows:
                collected += row[first:last]
            return collected

        return neighbours

    pick = itemgetter(*indices)

    def scattered(rows: Rows) -> list[Any]:
        collected: list[Any] = []
        try:
            for row in rows:
                collected += pick(row)
        except IndexError:
            raise ValueError("a row has too few columns") from None
        return collected

    return scattered
