"""The regression with state, in the hands of a use case that makes every mistake there is.

A reading or request whose `event_id` is, say, `key-float ...` makes it in the function that gives an
entity's key; see `MISTAKES`. All others are as in `tests.usecases.regression`.
"""

import asyncio
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, cast

import numpy as np

from stream_app import (
    Column,
    DecayedSums,
    Entity,
    Event,
    FeatureSet,
    InputTopic,
    InvalidEventError,
    JsonDecoder,
    Message,
    OpenItems,
    Outputs,
    Row,
    Update,
    UseCase,
    View,
    per_batch,
)
from tests.usecases import regression
from tests.usecases.regression import Reading, Request, iso, topic_of

__all__ = ["MISTAKES", "events", "iso", "make_usecase", "topic_of", "train", "usecase"]

#: Where this variable is set, the code is mended: no record makes a mistake any more.
MENDED = "TEST_MENDED"

#: The mistake, and the stage and reason of the dead letter that comes of it.
MISTAKES: Mapping[str, tuple[str, str]] = {
    "decoder-raises": ("decode", "decoder-error"),
    "decoder-dict": ("decode", "not-an-event"),
    "decoder-nan": ("decode", "time-out-of-range"),
    "decoder-inf": ("decode", "time-out-of-range"),
    "decoder-text-time": ("decode", "invalid-event"),
    "decoder-no-time": ("decode", "invalid-event"),
    "decoder-int-id": ("decode", "invalid-event"),
    "decoder-surrogate-id": ("decode", "invalid-event"),
    "decoder-own-reason": ("decode", "bad-checksum"),
    "decoder-silent": ("decode", "decoder-error"),
    "decoder-odd-reason": ("decode", "['a list']"),
    "decoder-exits": ("decode", "decoder-error"),
    "decoder-cancels": ("decode", "decoder-error"),
    "decoder-recurses": ("decode", "decoder-error"),
    "decoder-stops": ("decode", "decoder-error"),
    "decoder-unreadable": ("decode", "invalid-event"),
    "key-exits": ("enrich", "feature-error"),
    "key-stops": ("enrich", "feature-error"),
    "key-raises": ("enrich", "feature-error"),
    "key-float": ("enrich", "invalid-key"),
    "key-bytes": ("enrich", "invalid-key"),
    "key-list": ("enrich", "invalid-key"),
    "key-surrogate": ("enrich", "invalid-key"),
    "key-huge": ("enrich", "invalid-key"),
    "update-raises": ("enrich", "feature-error"),
    "update-nan": ("enrich", "invalid-update"),
    "update-text": ("enrich", "invalid-update"),
    "update-short": ("enrich", "invalid-update"),
    "update-number": ("enrich", "invalid-update"),
    "update-array": ("enrich", "invalid-update"),
    "update-exits": ("enrich", "feature-error"),
    "update-huge-count": ("enrich", "state-overflow"),
    "apply-raises": ("enrich", "apply-error"),
    "apply-exits": ("enrich", "apply-error"),
    "apply-widens": ("enrich", "state-overflow"),
    "sum-overflows": ("enrich", "state-overflow"),
}

#: The same for requests, which alone have rows and answers.
ASKING: Mapping[str, tuple[str, str]] = {
    "column-raises": ("enrich", "column-error"),
    "row-raises": ("enrich", "feature-error"),
    "row-text": ("score", "invalid-column"),
    "answer-raise": ("score", "answer-error"),
    "answer-exit": ("score", "answer-error"),
    "answer-never-end": ("score", "answer-error"),
    "answer-float32": ("score", "invalid-answer"),
    "answer-nan": ("score", "invalid-answer"),
    "answer-bytes": ("score", "invalid-answer"),
    "answer-text": ("score", "invalid-answer"),
    "answer-surplus": ("score", "invalid-answer"),
    "answer-id": ("score", "invalid-answer"),
    "answer-none": ("score", "answer-error"),
    "answer-surrogate": ("score", "invalid-answer"),
}


def _mistake(event: Any) -> str:
    if MENDED in os.environ:
        return "good"
    return str(event.event_id).partition(" ")[0]


class _SilentError(InvalidEventError):
    def __init__(self) -> None:
        Exception.__init__(self)

    def __str__(self) -> str:
        raise RuntimeError("nothing to say")


class _Unreadable(Event):
    def __getattribute__(self, name: str) -> Any:
        if name == "event_time":
            raise LookupError(name)
        return super().__getattribute__(name)


class _Decoder(JsonDecoder):
    def __call__(self, message: Message) -> Any:  # noqa: C901 - a table of mistakes
        event: Any = super().__call__(message)
        match _mistake(event):
            case "decoder-raises":
                raise KeyError(message.value)
            case "decoder-dict":
                return json.loads(message.value or b"")
            case "decoder-nan":
                event.event_time = math.nan
            case "decoder-inf":
                event.event_time = math.inf
            case "decoder-text-time":
                event.event_time = "noon"
            case "decoder-no-time":
                return Event.model_construct(event_id="x")
            case "decoder-int-id":
                event.event_id = 7
            case "decoder-surrogate-id":
                event.event_id = "\ud800"
            case "decoder-own-reason":
                raise InvalidEventError("bad-checksum", "x\n" * 1_000_000, "y" * 747_000)
            case "decoder-silent":
                raise _SilentError
            case "decoder-odd-reason":
                odd: Any = InvalidEventError("odd", "odd")
                odd.reason, odd.field = ["a list"], {"a": "dict"}
                raise odd
            case "decoder-exits":
                sys.exit(0)
            case "decoder-cancels":
                raise asyncio.CancelledError
            case "decoder-recurses":
                return self(message)
            case "decoder-stops":
                raise StopIteration
            case "decoder-unreadable":
                return _Unreadable.model_construct(event_id="x")
        return event


def _meter(event: Any) -> Any:
    match _mistake(event):
        case "key-raises":
            raise LookupError(event.meter)
        case "key-exits":
            sys.exit("no key")
        case "key-stops":
            raise StopIteration
        case "key-float":
            return 7.0
        case "key-bytes":
            return b"m1"
        case "key-list":
            return ["m1"]
        case "key-surrogate":
            return "m\udfff"
        case "key-huge":
            return "m" * 747_000
    return event.meter


@dataclass(frozen=True)
class _Touchy(DecayedSums):
    """Decayed sums that some updates break, after they have been taken in by half."""

    def check(self, updates: Any) -> None:
        super().check([update and update[:2] for update in updates])

    @property
    def apply(self) -> Any:
        plain = DecayedSums(self.half_life_seconds, self.sums).apply

        def apply(state: list[float], update: Update, rank: int, offset: int) -> None:
            plain(state, update[:2], rank, offset)
            if update[2:] == ("apply-raises",):
                raise ZeroDivisionError("in apply")
            if update[2:] == ("apply-exits",):
                sys.exit("in apply")
            if update[2:] == ("apply-widens",):
                state.append(1.0)

        return apply


TOUCHY = _Touchy(3600.0, ("amount",))
DUE = OpenItems(6 * 3600.0, slot_seconds=360.0)
PLAIN = DecayedSums(6 * 3600.0, ("amount",))


def _plain_update(event: Any) -> Any:
    match _mistake(event):
        case "update-raises":
            raise LookupError(event.meter)
        case "update-nan":
            return event.event_time, math.nan
        case "update-array":
            return event.event_time, np.array([1.0])
        case "update-exits":
            sys.exit("no update")
        case "update-text":
            return event.event_time, "7"
        case "update-short":
            return (event.event_time,)
        case "update-number":
            return 7.0
        case "sum-fills" | "sum-overflows":
            return event.event_time, 1.7e308
    return event.event_time, 1.0


def _touchy_update(event: Any) -> Any:
    return event.event_time, 1.0, _mistake(event)


def _due_update(event: Any) -> Any:
    return event.event_time, 10**12 if _mistake(event) == "update-huge-count" else 1


def _column(state: list[float] | None, at: float) -> float:
    # Whoever asks for a column is known by the moment alone: a request to fail is half a second off.
    if round(at * 1_000) % 10 == 7:
        raise ZeroDivisionError("in a column")
    return 0.0 if state is None else state[1]


METER = Entity("meter", _meter)
_BOTH: Any = lambda function: {Reading: function, Request: function}  # noqa: E731


def _celsius(event: Any) -> Any:
    mistake = _mistake(event)
    if mistake == "row-raises":
        raise LookupError(event.meter)
    if mistake == "row-text":
        return "cold"
    return event.celsius


def _features() -> FeatureSet:
    plain = regression.FEATURES
    more = (
        View(
            name="touchy", entity=METER, state=TOUCHY, on=_BOTH(_touchy_update),
            columns=(Column("touchy", _column, "", "Fails on purpose."),),
        ),
        View(name="plain", entity=METER, state=PLAIN, on=_BOTH(_plain_update), columns=()),
        View(name="due", entity=METER, state=DUE, on=_BOTH(_due_update), columns=()),
    )  # fmt: skip
    rows = tuple(
        replace(feature, compute=_celsius) if feature.name == "celsius" else feature
        for feature in plain.row_features
    )
    return replace(plain, views=(*more, *plain.views), row_features=rows)


FEATURES = _features()


@per_batch
def _answers(  # noqa: C901 - a table of mistakes
    events: Sequence[Any], rows: Sequence[Row], outputs: Outputs, decision: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    made: list[Any] = []
    plain = regression._answers(events, rows, outputs, decision)
    for event, kept in zip(events, plain, strict=True):
        answer: dict[str, Any] = dict(kept)
        match _mistake(event):
            case "answer-raise":
                raise KeyError("fields")
            case "answer-exit":
                sys.exit("no fields")
            case "answer-never-end":
                return cast("Any", ({} for _ in count()))
            case "answer-float32":
                answer["kilowatts"] = np.float32(1.0)
            case "answer-nan":
                answer["kilowatts"] = math.nan
            case "answer-bytes":
                answer["kilowatts"] = b"1.0"
            case "answer-text":
                answer["kilowatts"] = "1.0"
            case "answer-surplus":
                answer["surplus"] = 1
            case "answer-id":
                answer["prediction_id"] = "mine"
            case "answer-surrogate":
                answer["peak"] = "\ud800"
            case "answer-none":
                made.append(None)
                continue
        made.append(answer)
    return made


def make_usecase(suffix: str = "") -> UseCase:
    """The use case, on topics whose names end in `suffix`."""
    plain = regression.make_usecase(suffix)
    kinds = (Reading, Request)
    topics = tuple(
        InputTopic(topic.name, _Decoder(kind), topic.partitions)
        for topic, kind in zip(plain.topics, kinds, strict=True)
    )
    return replace(plain, topics=topics, features=FEATURES, answer=_answers)


usecase = make_usecase(os.environ.get("TEST_TOPIC_SUFFIX", ""))
events, train = regression.events, regression.train
