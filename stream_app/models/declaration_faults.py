"""What of a use case is of another kind than it is declared: other checks would stumble over it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import get_args

from stream_app.errors import ConfigurationError
from stream_app.features.usecase import Prediction, UseCase
from stream_app.features.views import Column, Dtype

__all__ = ["check_declaration", "declaration_faults"]


def check_declaration(usecase: UseCase) -> None:
    """Raise `ConfigurationError` for the first of `declaration_faults`."""
    for fault in declaration_faults(usecase):
        raise ConfigurationError(fault)


def declaration_faults(usecase: UseCase) -> Iterator[str]:
    """A sentence each, with what to write instead."""
    several: Mapping[str, object] = {
        "topics": usecase.topics,
        "fallbacks": usecase.fallbacks,
        "triggers": usecase.features.triggers,
    }
    for name, value in several.items():
        # Most often a comma is missing.
        if isinstance(value, str) or not isinstance(value, Iterable):
            what = (
                f"the class {value.__name__}"
                if isinstance(value, type)
                else f"of the type {type(value).__name__}"
            )
            yield (
                f"{name}= of the use case {usecase.name} is {what}, and has to be a tuple: write "
                f"{name}=(...,), with a comma also where it holds one."
            )
    if not (isinstance(usecase.prediction, type) and issubclass(usecase.prediction, Prediction)):
        yield (
            f"prediction= of the use case {usecase.name} does not derive from stream_app.Prediction: "
            "let its class derive from that, which has the fields that the worker adds."
        )
    for column in usecase.features.catalogue():
        if column.dtype not in get_args(Dtype):
            yield (
                f"The column {column.name} has the dtype {column.dtype}, which is none: take one of "
                f"{', '.join(get_args(Dtype))}."
            )
        function = column.read if isinstance(column, Column) else column.compute
        if not callable(function):
            yield (
                f"The column {column.name} is given {_a(function)} where a function is asked for: "
                "for a field of the event write, for example, lambda e: e.amount."
            )


def _a(value: object) -> str:
    return f"a {type(value).__name__}"
