"""Fields that a text from Avro or Protobuf never fits: those of one's own Enum classes."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args

from pydantic import BaseModel, Strict

__all__ = ["refuse_enums"]


def refuse_enums(types: tuple[type[BaseModel], ...]) -> None:
    """Raise `TypeError` where a model has a field of an Enum class that takes no text.

    In JSON a text is all there is, and pydantic takes it for the Enum's member; of Python's values, which
    these decoders give, it takes the member alone.
    """
    for kind in types:
        for model, name, enum in _enum_fields(kind, set()):
            raise TypeError(
                f"{model.__name__}.{name} is a {enum.__name__}, and an enum of Avro or Protobuf comes as a "
                f"text: declare it Literal[...], or Annotated[{enum.__name__}, Field(strict=False)]"
            )


def _enum_fields(
    model: type[BaseModel], seen: set[type[BaseModel]]
) -> Iterator[tuple[type[BaseModel], str, type[Enum]]]:
    if model in seen:
        return
    seen.add(model)
    for name, field in model.model_fields.items():
        if any(isinstance(each, Strict) and not each.strict for each in field.metadata):
            continue
        for part in _parts(field.annotation):
            if issubclass(part, Enum):
                yield model, name, part
            elif issubclass(part, BaseModel):
                yield from _enum_fields(part, seen)


def _parts(annotation: Any) -> Iterator[type]:
    """The classes that an annotation is made of."""
    if isinstance(annotation, type) and not get_args(annotation):
        yield annotation
    for part in get_args(annotation):
        yield from _parts(part)
