"""The generated use case: what an event costs is set by its columns, its text and its model.

Every event asks for a prediction and updates one state, so that a figure is one of all events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from stream_app import (
    Column,
    DecayedMoments,
    Derived,
    Entity,
    Event,
    FeatureSet,
    InputTopic,
    Prediction,
    RowFeature,
    UseCase,
    View,
)

__all__ = ["MLP", "TOPIC", "Reading", "Shape", "make_usecase", "written_usecase"]

TOPIC: Final = "growth.readings"

#: As `Shape.trees`: a network of two layers instead.
MLP: Final = 0

_DAY: Final = 86_400.0
_STATE_COLUMNS: Final = 4


class Reading(Event):
    """A meter shows something; asks for a prediction."""

    meter: int
    amount: Annotated[float, Field(ge=0.0)]
    note: str
    """Nobody reads it: it makes the value as long as it should be."""


class Expected(Prediction):
    """What a meter is expected to show next."""

    prediction: float


@dataclass(frozen=True)
class Shape:
    """What of a use case is varied."""

    partitions: int = 8
    columns: int = 16
    """At least 6: four of a state, the others of the event, every second one derived."""
    trees: int = 100
    """Of the model; `MLP` for a network with two hidden layers of 64."""

    def __post_init__(self) -> None:
        """Raises `ValueError` where there are too few columns."""
        if self.columns < _STATE_COLUMNS + 2:
            raise ValueError(f"a shape has at least {_STATE_COLUMNS + 2} columns")


def make_usecase(shape: Shape) -> UseCase:
    """The use case of a shape; its model version is `growth/1`."""
    spent = DecayedMoments(_DAY, ("amount",))
    reads = (spent.count(), spent.mean("amount"), spent.deviation("amount"), spent.mean("amount"))
    more = shape.columns - _STATE_COLUMNS
    return UseCase(
        name="growth",
        topics=(InputTopic(TOPIC, Reading, shape.partitions),),
        features=FeatureSet(
            views=(
                View(
                    "meter",
                    Entity("meter", lambda e: e.meter),
                    spent,
                    {Reading: lambda e: (e.event_time, e.amount)},
                    tuple(Column(f"state_{at}", read, "", "") for at, read in enumerate(reads)),
                ),
            ),
            row_features=tuple(
                RowFeature(f"row_{at}", _scaled(1.0 + at), "", "") for at in range(0, more, 2)
            ),
            derived=tuple(
                Derived(f"derived_{at}", _against_usual(1.0 + at), "", "")
                for at in range(1, more, 2)
            ),
            triggers=(Reading,),
        ),
        prediction=Expected,
        champion="growth/1",
    )


def _scaled(factor: float) -> Callable[[Any], float]:
    return lambda e: e.amount * factor


def _against_usual(factor: float) -> Callable[[Any, Any], float]:
    return lambda e, f: e.amount - factor * f.state_1


def written_usecase(shape: Shape) -> str:
    """The module of the use case, whose object is `usecase`: a worker imports it by its name."""
    return (
        "from benchmarks.growth.shape import Shape, make_usecase\n\n"
        f"usecase = make_usecase(Shape(**{asdict(shape)!r}))\n"
    )
