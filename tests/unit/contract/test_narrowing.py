"""What one JSON Schema allows and another refuses."""

import itertools
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from stream_app.contract.narrowing import narrowings


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int
    b: str = ""


class Needs(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int
    b: str


class Tree(BaseModel):
    value: int
    left: Optional["Tree"] = None
    others: list["Tree"] = []


class TextTree(BaseModel):
    value: str
    left: Optional["TextTree"] = None
    others: list["TextTree"] = []


TYPES: list[Any] = [
    int, float, str, bool, int | None, float | None, str | int, list[int], list[float],
    list[int] | None, dict[str, int], dict[str, float], tuple[int, str], tuple[float, str],
    Literal["a"], Literal["a", "b"], Literal["a", "b", 1],
    Annotated[int, Field(ge=0)], Annotated[int, Field(gt=0)], Annotated[int, Field(ge=0, le=9)],
    Annotated[float, Field(gt=0.0)], Annotated[float, Field(ge=0.0, lt=1.0)],
    Annotated[str, Field(min_length=1)], Annotated[str, Field(min_length=2, max_length=3)],
    Annotated[str, Field(pattern="^a")], Annotated[list[int], Field(min_length=1)],
    Annotated[list[int], Field(max_length=1)], Closed, Open, Needs, Tree, TextTree, Open | None,
]  # fmt: skip

SAMPLES: list[Any] = [
    None, True, 0, 1, -1, 9, 10, 0.0, 0.5, 1.0, -0.5, "", "a", "b", "ab", "abcd", "ba",
    [], [1], [1, 2], [0.5], ["a"], {}, {"x": 1}, {"x": 0.5}, [1, "a"], [0.5, "a"],
    {"a": 1}, {"a": 1, "b": "x"}, {"a": 1, "c": 2}, {"a": "1"}, {"value": 1}, {"value": "x"},
    {"value": 1, "left": {"value": 2}}, {"value": "x", "left": {"value": "y"}},
]  # fmt: skip


def takes(adapter: TypeAdapter[Any], sample: Any) -> bool:
    """Whether a JSON value is of a type, as strictly as the worker reads."""
    try:
        adapter.validate_json(to_json(sample), strict=True)
    except ValidationError:
        return False
    return True


ADAPTERS = [TypeAdapter(kind) for kind in TYPES]
SCHEMAS = [adapter.json_schema() for adapter in ADAPTERS]


@pytest.mark.parametrize("at", range(len(TYPES)), ids=[str(kind)[-40:] for kind in TYPES])
def test_a_schema_is_no_narrower_than_itself(at: int) -> None:
    """Recursive types as well."""
    assert narrowings(SCHEMAS[at], ADAPTERS[at].json_schema()) == []


def test_where_nothing_is_narrower_every_value_that_was_taken_is_taken() -> None:
    """Each pair of some types, each with values that tell them apart."""
    free = 0
    for wide, narrow in itertools.permutations(range(len(TYPES)), 2):
        if narrowings(SCHEMAS[wide], SCHEMAS[narrow]):
            continue
        free += 1
        for sample in SAMPLES:
            if takes(ADAPTERS[wide], sample):
                assert takes(ADAPTERS[narrow], sample), (TYPES[wide], TYPES[narrow], sample)
    assert free > len(TYPES)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (int, float),
        (int, int | None),
        (Annotated[int, Field(ge=1)], Annotated[int, Field(gt=0, le=10)] | int),
        (Annotated[float, Field(gt=0.0)], Annotated[float, Field(ge=0.0)]),
        (Literal["a"], Literal["b", "a"]),
        (Literal["a"], str),
        (tuple[int, str], tuple[float, str]),
        (list[int], list[int | None]),
        (Needs, Open),
        (Open, Open | None),
    ],
)
def test_what_only_became_wider_is_not_told(wide: Any, narrow: Any) -> None:
    """A comparison that tells of everything would be of no use."""
    assert narrowings(TypeAdapter(wide).json_schema(), TypeAdapter(narrow).json_schema()) == []
