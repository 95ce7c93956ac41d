"""Encodings learned in training: the number, or numbers, that stand for a text in a tensor.

They are kept in a version's manifest and applied where its tensors are made, so that the graph needs
no nodes for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["Encoding", "OneHot", "Ordinal"]

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Ordinal(BaseModel):
    """One number for each text: its place among those of training, or a number fitted for it."""

    model_config = _STRICT

    kind: Literal["ordinal"] = "ordinal"
    codes: Mapping[str, float]
    """Exact in float32."""
    unseen: float = -1.0
    """For a text that training did not see."""

    @property
    def width(self) -> int:
        """How many numbers stand for a text."""
        return 1

    def names(self, column: str) -> tuple[str, ...]:
        """What the numbers are called, where each needs a name of its own."""
        return (column,)

    def table(self) -> tuple[dict[str, tuple[float, ...]], tuple[float, ...]]:
        """The numbers for each text, and those for any other."""
        return {text: (code,) for text, code in self.codes.items()}, (self.unseen,)


class OneHot(BaseModel):
    """A one at the text's place among those of training; all zeros for a text it did not see."""

    model_config = _STRICT

    kind: Literal["one-hot"] = "one-hot"
    values: Annotated[tuple[str, ...], Field(min_length=1)]

    @field_validator("values")
    @classmethod
    def _distinct(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(values)) != len(values):
            raise ValueError("a value is there twice")
        return values

    @property
    def width(self) -> int:
        """How many numbers stand for a text."""
        return len(self.values)

    def names(self, column: str) -> tuple[str, ...]:
        """What the numbers are called, where each needs a name of its own."""
        return tuple(f"{column}={value}" for value in self.values)

    def table(self) -> tuple[dict[str, tuple[float, ...]], tuple[float, ...]]:
        """The numbers for each text, and those for any other."""
        nothing = (0.0,) * self.width
        ones = {
            value: (*nothing[:at], 1.0, *nothing[at + 1 :]) for at, value in enumerate(self.values)
        }
        return ones, nothing


#: How the texts of a column become numbers.
Encoding = Annotated[Ordinal | OneHot, Field(discriminator="kind")]
