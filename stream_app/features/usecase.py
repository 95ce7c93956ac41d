"""The use case: one object that tells the engine everything it may not know by itself.

`stream_app` is given such an object as an ASGI server is given an app, by ``MODULE:OBJECT``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from inspect import signature
from types import UnionType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from stream_app.features.answer import Answer, PerBatch
from stream_app.features.events import Decoder, Event, EventDecoder, Moment
from stream_app.features.events.topic_decoder import decoder_of
from stream_app.features.field_checks import check_key, check_number, types_of
from stream_app.features.fields import FieldOf, field_or_function
from stream_app.features.views import FeatureSet

__all__ = ["InputTopic", "Model", "Outcome", "Prediction", "TimeBounds", "UseCase", "own_fields"]


class Model(BaseModel):
    """The model version that served a prediction."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(description="Name of the model.")]
    version: Annotated[str, Field(description="Version of the model.")]


class Prediction(BaseModel):
    """What every prediction message carries; a use case adds the fields of its answer.

    A contract that declares ``application: str`` has the application's name there from the worker.
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


def own_fields(prediction: type[Prediction]) -> frozenset[str]:
    """The fields that a use case answers with: all but those that the worker fills in."""
    return frozenset(
        prediction.model_fields.keys() - Prediction.model_fields.keys() - {"application"}
    )


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


@dataclass(frozen=True, init=False)
class Outcome:
    """The event that tells what really happened, and how it joins its prediction."""

    event: type[Event]
    join_key: Callable[[Any], Any]
    """The same text or number key for the outcome event and for the event that asked for the prediction."""
    label: Callable[[Any], float | None]
    """What happened, or None where the outcome gives no label."""
    absent_after_seconds: float | None
    """Where nothing happened within so long after the event that asked, the label is 0; event time.
    None: without an outcome there is no label."""

    def __init__(
        self,
        event: type[Event],
        join_key: str | Callable[[Any], str | int],
        label: str | Callable[[Any], float | None],
        absent_after_seconds: float | None = None,
    ) -> None:
        """`join_key` and `label`: the name of a field, or a function of the event.

        Raises `ValueError` for a field that the event has not, or that is no key and no number.
        """
        object.__setattr__(self, "event", event)
        object.__setattr__(self, "join_key", field_or_function(join_key))
        object.__setattr__(self, "label", field_or_function(label))
        object.__setattr__(self, "absent_after_seconds", absent_after_seconds)
        check_key("outcome, join_key", event, self.join_key, may_be_none=False)
        check_number("outcome, label", event, self.label)

    def check_joins(self, triggers: Sequence[type[Event]]) -> None:
        """Raise `ValueError` where a field that joins is not one of the events that ask, or another type."""
        for trigger in triggers:
            check_key("outcome, join_key", trigger, self.join_key, may_be_none=False)
            if isinstance(self.join_key, FieldOf):
                name = self.join_key.name
                theirs, ours = (
                    {issubclass(each, str) for each in types_of(kind, name) if each is not object}
                    for kind in (trigger, self.event)
                )
                if theirs and ours and not theirs & ours:
                    raise ValueError(
                        f"outcome, join_key: the field {name} is text in one of {trigger.__name__} and "
                        f"{self.event.__name__} and a number in the other, so they never join: write a function"
                    )


@dataclass(frozen=True, kw_only=True)
class UseCase:
    """Everything the engine needs to know of one use case."""

    name: str
    topics: tuple[InputTopic, ...]
    """Topics of events; their order breaks ties between records of the same moment."""
    features: FeatureSet
    prediction: type[Prediction]
    """Contract of the predictions topic."""
    champion: str
    """Folder of the champion's model version, below the artifacts root."""
    fallbacks: tuple[str, ...] = ()
    """Folders of the models that serve when the champion cannot, in the order they are tried."""
    answer: Answer | PerBatch | None = None
    """From (event, row, outputs, decision) to the prediction's own fields, for one record: `row` is its
    columns by name, `outputs` the model's by name (a number, bool or text, or an array where a
    record has several numbers), `decision` that of the model's manifest. It may be marked with
    `per_batch`. None: each output is the field of its name; outputs without a field are left out.

    With two outputs and three fields a function of one record took 1.7 us a record, one of a batch
    of 128 took 0.6 us (`python -m benchmarks.answers`)."""
    predictions_topic: str = ""
    """By default the name of the use case and ``.predictions``."""
    dead_letters_topic: str = ""
    """By default the name of the use case and ``.dead-letters``."""
    times: TimeBounds = field(default_factory=TimeBounds)
    outcome: Outcome | None = None
    output_partitions: int = 8
    """How many partitions `stream-app local` and the demo give the topics out."""

    def __post_init__(self) -> None:
        """Name the topics out; raises `ValueError` for an answer that cannot be called so, or an outcome
        that never joins."""
        for topic, name in (
            ("predictions_topic", "predictions"),
            ("dead_letters_topic", "dead-letters"),
        ):
            if not getattr(self, topic):
                object.__setattr__(self, topic, f"{self.name}.{name}")
        if self.answer is not None:
            _check_arguments(self.answer)
        if self.outcome is not None:
            self.outcome.check_joins(self.features.triggers)
        application = self.prediction.model_fields.get("application")
        if application is not None and (application.annotation is not str or application.metadata):
            raise ValueError(
                f"{self.prediction.__name__}.application has to be a plain str: the worker puts the "
                "application's name there"
            )

    @property
    def models(self) -> tuple[str, ...]:
        """Folders of all models: the champion first, then the fallbacks."""
        return (self.champion, *self.fallbacks)


def _check_arguments(answer: Answer | PerBatch) -> None:
    function, given = (
        (answer.function, "(events, rows, outputs, decision)")
        if isinstance(answer, PerBatch)
        else (answer, "(event, row, outputs, decision)")
    )
    try:
        signature(function).bind(None, None, None, None)
    except TypeError as error:
        raise ValueError(
            f"answer: {getattr(function, '__qualname__', function)} cannot be called with {given}: "
            f"{error}"
        ) from None
    except ValueError:  # of a function that is not written in Python nothing is known
        return
