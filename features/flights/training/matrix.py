"""The training matrix: the replay of the year's log, a row for each request for a prediction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stream_app import Event, UseCase, replay

__all__ = ["Matrix", "build_matrix"]


@dataclass(frozen=True)
class Matrix:
    """Rows of features with their labels, in the order in which the rows became known."""

    times: npt.NDArray[np.float64]
    """Event time of each row, in seconds since the epoch."""
    numbers: npt.NDArray[np.float32]
    """Shape (rows, columns of numbers); NaN where nothing was known."""
    number_columns: tuple[str, ...]
    strings: npt.NDArray[Any]
    """Shape (rows, columns of strings)."""
    string_columns: tuple[str, ...]
    labels: npt.NDArray[np.float64]
    """What happened; NaN where the log does not tell."""

    def take(self, rows: npt.NDArray[np.bool_]) -> Matrix:
        """The rows selected by a mask."""
        return Matrix(
            self.times[rows],
            self.numbers[rows],
            self.number_columns,
            self.strings[rows],
            self.string_columns,
            self.labels[rows],
        )

    def only(self, columns: Iterable[str]) -> Matrix:
        """The same rows with these columns of numbers only, in their present order."""
        wanted = set(columns)
        kept = [i for i, name in enumerate(self.number_columns) if name in wanted]
        return Matrix(
            self.times,
            self.numbers[:, kept],
            tuple(self.number_columns[i] for i in kept),
            self.strings,
            self.string_columns,
            self.labels,
        )

    def by_column(self) -> dict[str, npt.NDArray[Any]]:
        """Every column by name."""
        numbers = dict(zip(self.number_columns, self.numbers.T, strict=True))
        return {**numbers, **dict(zip(self.string_columns, self.strings.T, strict=True))}


def build_matrix(usecase: UseCase, log: Iterable[Event]) -> Matrix:
    """Replay a log in the order in which its events became known.

    Labels are joined as the use case's outcome says; they are never seen by the replay.
    """
    outcome = usecase.outcome
    assert outcome is not None
    labels: dict[str, float | None] = {}

    def watched() -> Iterator[Event]:
        for event in log:
            if isinstance(event, outcome.event):
                labels[outcome.join_key(event)] = outcome.label(event)
            yield event

    features = usecase.features
    is_string = [features.dtypes[column] == "string" for column in features.columns]
    number_at = [i for i, string in enumerate(is_string) if not string]
    string_at = [i for i, string in enumerate(is_string) if string]
    times = []
    keys = []
    numbers = []
    strings = []
    for row in replay(features, watched()):
        values = row.values
        times.append(row.event.event_time)
        keys.append(outcome.join_key(row.event))
        numbers.append(np.array([values[i] for i in number_at], dtype=np.float32))
        strings.append([values[i] for i in string_at])
    joined = [labels.get(key) for key in keys]
    return Matrix(
        np.array(times),
        np.stack(numbers),
        tuple(features.columns[i] for i in number_at),
        np.array(strings, dtype=object),
        tuple(features.columns[i] for i in string_at),
        np.array([math.nan if label is None else label for label in joined]),
    )
