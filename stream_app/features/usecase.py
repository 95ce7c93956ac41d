"""The use case: one object that tells the engine everything it may not know by itself.

`stream_app` is given such an object as an ASGI server is given an app, by ``MODULE:OBJECT``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import UnionType
from typing import Annotated, Any

import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from stream_app.features.events import Decoder, Event, EventDecoder, Moment
from stream_app.features.events.topic_decoder import decoder_of
from stream_app.features.views import FeatureSet

__all__ = ["InputTopic", "Model", "Outcome", "Prediction", "TimeBounds", "UseCase"]

#: Named outputs of a model, each of shape (rows, ...).
Outputs = Mapping[str, npt.NDArray[Any]]


class Model(BaseModel):
    """The model version that served a prediction."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(description="Name of the model.")]
    version: Annotated[str, Field(description="Version of the model.")]


class Prediction(BaseModel):
    """What every prediction message carries; a use case adds the fields of its answer.

    The value is a pure function of event, state and model: no wall clock enters it.
    """

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    prediction_id: Annotated[
        str, Field(description="Topic id, partition and offset of the event's first origin.")
    ]
    event_id: Annotated[str, Field(description="The event's id, as its producer gave it.")]
    event_time: Annotated[
        Moment,
        Field(description="The event's time, RFC 3339 in UTC; in Python seconds since the epoch."),
    ]
    model: Annotated[Model, Field(description="The model version that served it.")]
    served_by: Annotated[str, Field(description="Champion, or the name of the fallback.")]
    degraded: Annotated[
        str | None, Field(description="Why a fallback served it, or null: nothing was wrong.")
    ]
    state_freshness_seconds: Annotated[
        float | None,
        Field(description="Event time minus the newest event time in the state it read; "
              "null: no state was known."),
    ]  # fmt: skip


@dataclass(frozen=True)
class InputTopic:
    """A topic of events, and what its records hold.

    Raises `TypeError` for a contract that records cannot be decoded by.
    """

    name: str
    contract: type[Event] | UnionType | Decoder
    """An `Event` class or a union of them, where values are JSON; else a decoder: one of the library's,
    or a function of one's own."""
    partitions: int = 8
    """How many `stream-app local` and the demo create."""
    tombstones: type[Event] | None = field(default=None, kw_only=True)
    """The event that a record without a value is; it takes its id and its time from the record. By
    default such a record is a dead letter."""
    decoder: EventDecoder = field(init=False, compare=False)
    """What decodes its records."""

    def __post_init__(self) -> None:
        """Make the decoder of the contract."""
        object.__setattr__(self, "decoder", decoder_of(self.contract, self.tombstones))


@dataclass(frozen=True)
class TimeBounds:
    """How far from its clock a time may lie before it is not believed. All in seconds.

    The clock is the record's timestamp, unless `earliest` and `latest` give a fixed range.
    """

    ahead_seconds: float = 86_400.0
    behind_seconds: float = 366 * 86_400.0
    earliest: float | None = None
    latest: float | None = None

    def range_at(self, clock: float) -> tuple[float, float]:
        """Lowest and highest time believed when the clock shows `clock`."""
        low = clock - self.behind_seconds if self.earliest is None else self.earliest
        high = clock + self.ahead_seconds if self.latest is None else self.latest
        return low, high


@dataclass(frozen=True)
class Outcome:
    """The event that tells what really happened, and how it joins its prediction."""

    event: type[Event]
    join_key: Callable[[Any], str]
    """The same key for the outcome event and for the event that asked for the prediction."""
    label: Callable[[Any], float | None]
    """What happened, or None where the outcome gives no label."""
    absent_after_seconds: float | None = None
    """Where nothing happened within so long after the event that asked, the label is 0; event time.
    None: without an outcome there is no label."""


@dataclass(frozen=True, kw_only=True)
class UseCase:
    """Everything the engine needs to know of one use case."""

    name: str
    topics: tuple[InputTopic, ...]
    """Topics of events; their order breaks ties between records of the same moment."""
    predictions_topic: str
    dead_letters_topic: str
    features: FeatureSet
    prediction: type[Prediction]
    """Contract of the predictions topic."""
    fields: Callable[[Outputs, Mapping[str, Any]], Sequence[Mapping[str, Any]]]
    """From a model's named outputs and its manifest's `decision` to the prediction's own fields,
    one mapping a row."""
    champion: str
    """Folder of the champion's model version, below the artifacts root."""
    fallbacks: tuple[str, ...] = ()
    """Folders of the models that serve when the champion cannot, in the order they are tried."""
    times: TimeBounds = field(default_factory=TimeBounds)
    outcome: Outcome | None = None
    output_partitions: int = 8
    """How many partitions `stream-app local` and the demo give the topics out."""

    @property
    def models(self) -> tuple[str, ...]:
        """Folders of all models: the champion first, then the fallbacks."""
        return (self.champion, *self.fallbacks)
