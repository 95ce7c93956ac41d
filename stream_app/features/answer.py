"""The answer: what a use case makes of a model's outputs, a record at a time or a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

__all__ = ["Answer", "BatchAnswer", "Outputs", "PerBatch", "Row", "per_batch"]

#: Named outputs of a model, each of shape (rows, ...).
Outputs = Mapping[str, npt.NDArray[Any]]

#: A record's columns by name; what is missing is NaN, or "" for text.
Row = Mapping[str, Any]

#: (event, row, outputs, decision) to the prediction's own fields. `outputs` are those of the one record:
#: each a Python number, bool or text, or an array of the output's trailing shape.
Answer = Callable[[Any, Row, Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]

#: (events, rows, outputs, decision) to the prediction's own fields, one mapping a record.
BatchAnswer = Callable[
    [Sequence[Any], Sequence[Row], Outputs, Mapping[str, Any]], Sequence[Mapping[str, Any]]
]


@dataclass(frozen=True)
class PerBatch:
    """A function that answers for a batch at once, as `per_batch` marks it."""

    function: BatchAnswer

    def __call__(
        self,
        events: Sequence[Any],
        rows: Sequence[Row],
        outputs: Outputs,
        decision: Mapping[str, Any],
    ) -> Sequence[Mapping[str, Any]]:
        """What the function answers."""
        return self.function(events, rows, outputs, decision)


def per_batch(function: BatchAnswer) -> PerBatch:
    """Mark an answer function that is given a whole batch: events, rows, outputs, decision.

    It returns one mapping a record, in their order. `outputs` are arrays of shape (rows, ...).
    Where it raises, the batch is halved until the record is found.
    """
    return PerBatch(function)
