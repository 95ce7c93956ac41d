"""Calls a use case's answer function: for each record, or for a batch where it is made for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, overload

from stream_app.features.answer import BatchAnswer, Outputs, PerBatch, Row
from stream_app.features.usecase import UseCase, own_fields
from stream_app.models.answers import AnswerError, as_answer, as_answers
from stream_app.text.causes import place_of, unless_told_to_end

__all__ = ["AnswerFunction", "Made"]

#: The answer for a record, or what its function raised.
Made = dict[str, Any] | BaseException


class AnswerFunction:
    """Makes the answers of a use case."""

    def __init__(self, usecase: UseCase) -> None:
        answer = usecase.answer
        if answer is None:
            answer = _outputs_as_fields(own_fields(usecase.prediction))
            self.name = "the outputs"
        else:
            function: Callable[..., Any] = (
                answer.function if isinstance(answer, PerBatch) else answer
            )
            self.name = place_of(function)
        """How a person finds it."""
        self._answer = answer
        self._at = {column: at for at, column in enumerate(usecase.features.columns)}

    def __call__(
        self,
        events: Sequence[Any],
        rows: Sequence[Sequence[Any]],
        outputs: Outputs,
        decision: Mapping[str, Any],
    ) -> list[Made]:
        """An answer for each record; `rows` hold the columns of the feature set.

        Where the function answers for one record, what it raises takes the place of the answer.
        Raises what a function raises that answers for a batch, and `AnswerError`.
        """
        answer, at = self._answer, self._at
        if isinstance(answer, PerBatch):
            made = answer.function(events, _Rows(at, rows), outputs, decision)
            return [*as_answers(made, len(events))]
        answers: list[Made] = []
        for event, row, own in zip(events, rows, _of_each(outputs), strict=True):
            try:
                answers.append(as_answer(answer(event, _Row(at, row), own, decision)))
            except BaseException as error:  # noqa: BLE001 - it is the use case's own code
                unless_told_to_end(error)
                answers.append(error)
        return answers


def _of_each(outputs: Outputs) -> Iterator[dict[str, Any]]:
    """The outputs of each record by name."""
    columns = [
        # Converters give (rows, 1) where a number a row is meant.
        values.ravel().tolist() if values.size == len(values) else values
        for values in outputs.values()
    ]
    names = [*outputs]
    return (dict(zip(names, own, strict=True)) for own in zip(*columns, strict=True))


def _outputs_as_fields(fields: frozenset[str]) -> PerBatch:
    """The answer of a use case that declares none: each output is the field of its name."""

    def answer(
        events: Sequence[Any], rows: Sequence[Row], outputs: Outputs, decision: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        del events, rows, decision
        named = {name: values for name, values in outputs.items() if name in fields}
        if not named:
            raise AnswerError(
                f"no output of the model ({', '.join(outputs)}) has the name of a field of the "
                f"prediction ({', '.join(sorted(fields))}): give the use case an `answer`"
            )
        return [
            {name: value if isinstance(value, _SCALARS) else value.tolist()
             for name, value in own.items()}
            for own in _of_each(named)
        ]  # fmt: skip

    made: BatchAnswer = answer
    return PerBatch(made)


_SCALARS = (bool, int, float, str)


class _Row(Mapping[str, Any]):
    """A record's columns by name, without a dict for each record."""

    __slots__ = ("_at", "_values")

    def __init__(self, at: Mapping[str, int], values: Sequence[Any]) -> None:
        self._at = at
        self._values = values

    def __getitem__(self, column: str) -> Any:
        return self._values[self._at[column]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._at)

    def __len__(self) -> int:
        return len(self._at)


class _Rows(Sequence[Row]):
    """The rows of a batch, each made when it is asked for."""

    __slots__ = ("_at", "_rows")

    def __init__(self, at: Mapping[str, int], rows: Sequence[Sequence[Any]]) -> None:
        self._at = at
        self._rows = rows

    @overload
    def __getitem__(self, number: int) -> Row: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Row]: ...
    def __getitem__(self, number: int | slice) -> Row | Sequence[Row]:
        if isinstance(number, slice):
            return _Rows(self._at, self._rows[number])
        return _Row(self._at, self._rows[number])

    def __iter__(self) -> Iterator[Row]:
        at = self._at
        return (_Row(at, row) for row in self._rows)

    def __len__(self) -> int:
        return len(self._rows)
