"""The training matrix: columns as serving would have read them, with what happened after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_app.features.model_version.encodings import OneHot, Ordinal
from stream_app.features.views import Dtype
from stream_app.training.candidates import GoldenLog
from stream_app.training.errors import MatrixError
from stream_app.training.labelling import Labelling

__all__ = ["Matrix"]

_TENSOR_DTYPES = {"float64": np.float64, "float32": np.float32, "int64": np.int64, "bool": np.bool_}


@dataclass(frozen=True, repr=False)
class Matrix:
    """Rows in the order in which they became known; one for each event that asked."""

    columns: Mapping[str, npt.NDArray[Any]]
    """By name, in the feature set's order; each of shape (rows,), strings as objects."""
    dtypes: Mapping[str, Dtype]
    """As declared, by column."""
    labels: npt.NDArray[Any]
    """What happened, shape (rows,): float64 with NaN where there is none, objects where they are
    texts."""
    times: npt.NDArray[np.float64]
    """Event times, in seconds since the epoch."""
    ids: npt.NDArray[Any]
    """Ids of the events that asked, as objects."""
    golden: GoldenLog
    """What the version's golden events are made of."""
    encodings: Mapping[str, Ordinal | OneHot] = field(default_factory=dict)
    """Of columns of text, by column; `frame` holds their numbers."""
    report: str = ""
    """What was read, and how fast."""
    labels_by: Labelling = field(default_factory=Labelling)
    """What the labels are told by, for who has none."""

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.times)

    def __repr__(self) -> str:
        """Its size alone: rows would fill pages."""
        return f"<Matrix of {len(self)} rows, {len(self.columns)} columns>"

    def __str__(self) -> str:
        """Rows, labels, columns, and what was read."""
        labelled = int(self.is_labelled.sum())
        head = f"{len(self):,} rows of {len(self.columns)} columns, {labelled:,} with a label"
        if labelled:
            head += self._about_labels()
        if len(self):
            head += f", {_utc(self.times.min())} to {_utc(self.times.max())}"
        lines = [f"{head}, {self.nbytes / 1e6:,.1f} MB", self.report]
        if not labelled and len(self):
            lines.append(self.why_no_label())
        if never := self.never_known:
            lines.append(
                f"no row has a value in {', '.join(never)}: a model learns nothing from that"
            )
        return "\n".join(filter(None, lines))

    def _about_labels(self) -> str:
        known = self.labels[self.is_labelled]
        if (known == known[0]).all():
            return f" (all of them {known[0]})"
        return f" (mean {known.mean():.4g})" if known.dtype.kind == "f" else ""

    @property
    def is_labelled(self) -> npt.NDArray[np.bool_]:
        """Which rows have a label, shape (rows,)."""
        if self.labels.dtype.kind == "f":
            known: npt.NDArray[np.bool_] = ~np.isnan(self.labels)
            return known
        return np.array([label is not None for label in self.labels], dtype=np.bool_)

    @property
    def never_known(self) -> tuple[str, ...]:
        """Columns that hold a value in no row: a number that is missing, or an empty text."""
        if not len(self):
            return ()
        return tuple(name for name, column in self.columns.items() if _is_empty(column))

    def why_no_label(self) -> str:
        """Why no row has a label, and what to do, as a sentence."""
        return self.labels_by.why_none()

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays; texts are counted as references."""
        arrays = (*self.columns.values(), self.labels, self.times, self.ids)
        return sum(array.nbytes for array in arrays)

    def take(self, rows: npt.NDArray[Any]) -> Matrix:
        """The rows that a mask or positions select."""
        return replace(
            self,
            columns={name: column[rows] for name, column in self.columns.items()},
            labels=self.labels[rows],
            times=self.times[rows],
            ids=self.ids[rows],
        )

    def labelled(self) -> Matrix:
        """The rows that have a label."""
        return self.take(self.is_labelled)

    def only(self, *columns: str) -> Matrix:
        """The same rows with these columns, in the order given; raises `MatrixError`."""
        if not all(isinstance(name, str) for name in columns):
            raise MatrixError("columns are named one by one: matrix.only('amount', 'country').")
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise MatrixError(f"no column {missing[0]}, there are {', '.join(self.columns)}.")
        return replace(
            self,
            columns={name: self.columns[name] for name in columns},
            encodings={name: e for name, e in self.encodings.items() if name in columns},
        )

    def without(self, *columns: str) -> Matrix:
        """The same rows without these columns; raises `MatrixError`."""
        self.only(*columns)
        return self.only(*(name for name in self.columns if name not in columns))

    def split(
        self,
        *,
        at: datetime | float | None = None,
        share: float | None = None,
        gap_seconds: float = 0.0,
    ) -> tuple[Matrix, Matrix]:
        """Labelled rows before a moment, to train on, and those from it on, to test with.

        `at`: the moment, with an offset, or in seconds since the epoch; or `share`: so much of the
        labelled rows comes before it, 0 to 1. Rows of the last `gap_seconds` before it are left
        out: their outcomes happened after it. Raises `MatrixError` where a side is empty.
        """
        rows = self.labelled()
        if not len(rows):
            raise MatrixError(f"split: {self.why_no_label()}")
        if (at is None) == (share is None):
            raise MatrixError("split by at= or by share=, one of them.")
        if isinstance(at, datetime):
            if at.tzinfo is None:
                raise MatrixError("split: at= has no offset from UTC.")
            at = at.timestamp()
        if at is None:
            assert share is not None
            if not 0.0 < share < 1.0:
                raise MatrixError(f"split: share= is {share}, and has to be between 0 and 1.")
            at = float(np.quantile(rows.times, share))
        before = rows.take(rows.times < at - gap_seconds)
        after = rows.take(rows.times >= at)
        if not len(before) or not len(after):
            raise MatrixError(
                f"split at {_utc(at)}: {len(before)} labelled rows before, {len(after)} after; "
                f"the matrix has {len(rows)}"
                + (
                    f" from {_utc(rows.times.min())} to {_utc(rows.times.max())}."
                    if len(rows)
                    else "."
                )
            )
        return before, after

    def encode(self, *encodings: tuple[str, Ordinal | OneHot]) -> Matrix:
        """The same rows, with numbers for columns of text, as the version will make them.

        Each is what `fit_one_hot`, `fit_ordinal` and `fit_target_mean` return: the column and its
        encoding. Fit them on the rows to train on, and encode those to test with by the same::

            kinds = fit_one_hot(train, "kind")
            train, test = train.encode(kinds), test.encode(kinds)
        """
        for column, _ in encodings:
            if self.dtypes.get(column) != "string" or column not in self.columns:
                raise MatrixError(
                    f"{column} is no column of text, so it takes no encoding: declare it with "
                    'dtype="string".'
                )
        return replace(self, encodings={**self.encodings, **dict(encodings)})

    def numbers(self) -> dict[str, npt.NDArray[Any]]:
        """The columns as a model takes them: encoded ones as float32 numbers, by name."""
        made: dict[str, npt.NDArray[Any]] = {}
        for name, column in self.columns.items():
            encoding = self.encodings.get(name)
            if encoding is None:
                made[name] = column
                continue
            table, unseen = encoding.table()
            wide = np.array([table.get(text, unseen) for text in column], dtype=np.float32)
            wide = wide.reshape(len(self), encoding.width)
            made |= dict(zip(encoding.names(name), wide.T, strict=True))
        return made

    def frame(self) -> Any:
        """`numbers` as a pandas DataFrame where pandas is installed, else as they are.

        A column of text that is not encoded stays text, which few models take: see `encode`.
        """
        numbers = self.numbers()
        try:
            from pandas import DataFrame
        except ImportError:
            return numbers
        return DataFrame(numbers)

    def array(self, columns: Sequence[str] | None = None) -> npt.NDArray[np.float32]:
        """`numbers` side by side, of shape (rows, width), float32; raises `MatrixError` for texts."""
        numbers = self.numbers()
        chosen = numbers if columns is None else {name: numbers[name] for name in columns}
        texts = [name for name, column in chosen.items() if column.dtype == object]
        if texts:
            raise MatrixError(
                f"the column {texts[0]} is text: encode it, for example by "
                f'matrix.encode(stream_app.fit_one_hot(train, "{texts[0]}")), or choose columns '
                "without it."
            )
        return np.column_stack([column.astype(np.float32) for column in chosen.values()])

    def sha256(self) -> str:
        """Of columns, labels and times, in hex."""
        digest = hashlib.sha256()
        for name, column in (*self.columns.items(), ("", self.labels), ("", self.times)):
            digest.update(name.encode())
            if column.dtype == object:
                digest.update(json.dumps([_plain(value) for value in column]).encode())
            else:
                digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()


def column_array(name: str, dtype: Dtype, values: Iterable[Any]) -> npt.NDArray[Any]:
    """A column's values as an array of its dtype; raises `MatrixError` where they do not fit."""
    listed = list(values)
    if dtype == "string":
        array = np.empty(len(listed), dtype=object)
        array[:] = listed
        wrong = next((v for v in listed if not isinstance(v, str)), None)
        if wrong is not None:
            raise MatrixError(
                f"the column {name} is declared string and holds a {type(wrong).__name__}: let its "
                "function return text, or declare another dtype."
            )
        return array
    # numpy would take None for NaN, and "7" for 7.
    kinds = set(map(type, listed))
    strange = [k for k in kinds if not issubclass(k, int | float | np.number | np.bool_)]
    if strange:
        wrong = strange[0].__name__
        mend = "a missing number is NaN; let its function return a number."
        if issubclass(strange[0], str):
            mend = (
                'declare it with dtype="string" and encode it (stream_app.fit_one_hot and '
                "Matrix.encode), or let its function return a number."
            )
        raise MatrixError(f"the column {name} is declared {dtype} and holds a {wrong}: {mend}")
    doubles = np.array(listed, dtype=np.float64)
    if dtype in ("int64", "bool") and np.isnan(doubles).any():
        raise MatrixError(
            f"the column {name} is declared {dtype} and reads NaN where nothing is known: declare it "
            "float32, which has a missing value."
        )
    if dtype in ("int64", "bool") and (floats := [k for k in kinds if _is_float(k)]):
        # numpy would cut 19.99 down to 19, which serving refuses.
        raise MatrixError(
            f"the column {name} is declared {dtype} and holds a {floats[0].__name__}: declare it "
            f"float32, or let its function return {'an int' if dtype == 'int64' else 'a bool'}."
        )
    if dtype == "int64":
        return np.array(listed, dtype=np.int64)
    return doubles.astype(_TENSOR_DTYPES[dtype])


def _is_empty(column: npt.NDArray[Any]) -> bool:
    if column.dtype == object:
        return not any(column)
    return column.dtype.kind == "f" and bool(np.isnan(column).all())


def _is_float(kind: type) -> bool:
    return issubclass(kind, float | np.floating)


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) or value is None else float(value)


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(float(seconds), UTC).strftime("%Y-%m-%d %H:%M")
