"""What a test sees: what became of each record that was sent, read from what the worker wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import FeatureEngine
from stream_app.features.stores import Store
from stream_app.features.stores.codec import StateCodec
from stream_app.features.usecase import UseCase
from stream_app.features.views import FeatureSet
from stream_app.records.places import Place
from stream_app.testing.sent import Sent, events_of
from stream_app.testing.topics import Message
from stream_app.wire.dead_letter import DeadLetter
from stream_app.wire.headers import by_name
from stream_app.wire.prediction import PredictionHeaders

__all__ = ["Answer", "Refusal", "Seen", "StateSeen", "cells", "read_states", "seen_of"]


_TOLD: Final = 10
"""So many dead letters are told of in a text."""


@dataclass(frozen=True)
class Answer:
    """A prediction, with the record that it was made of."""

    sent: Sent
    fields: Mapping[str, Any]
    """The value of the prediction: its own fields and the worker's."""
    row: Mapping[str, Any]
    """The features that the model was asked with, by column; NaN where nothing was known."""
    message: Message

    def __getitem__(self, field: str) -> Any:
        """A field of the prediction."""
        return self.fields[field]


@dataclass(frozen=True)
class Refusal:
    """A dead letter, with the record that it is about."""

    sent: Sent
    letter: DeadLetter
    """What its headers say."""
    message: Message

    @property
    def reason(self) -> str:
        """A code of `docs/reasons.md`, or one of the decoder's own."""
        return self.letter.reason

    @property
    def field(self) -> str:
        """Dotted path of the field that was wrong; empty where it was none."""
        return self.letter.field

    def __str__(self) -> str:
        """``orders.ordered: missing-field, field price: Field required``."""
        letter = self.letter
        # The message of a field begins with its name.
        return f"{self.sent.topic}: {letter.reason}, {letter.message or letter.stage}"


@dataclass(frozen=True)
class StateSeen:
    """The state of one entity in one view, after all records."""

    updates: int
    """How many updates it holds."""
    newest: float
    """Event time of the newest, in seconds since the epoch."""
    columns: Mapping[str, Any]
    """The view's columns, read at that time."""


@dataclass(frozen=True)
class Seen:
    """What became of the records that a test sent."""

    predictions: Sequence[Answer]
    """In the order in which their records were given."""
    dead_letters: Sequence[Refusal]
    """In the order in which their records were given."""
    states: Mapping[str, Mapping[str, StateSeen]]
    """By view and entity key."""

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """The features of each prediction."""
        return [answer.row for answer in self.predictions]

    @property
    def prediction(self) -> Answer:
        """The only prediction; an `AssertionError` says what came where it is not one."""
        __tracebackhide__ = True  # pytest shows the test's own line
        if len(self.predictions) != 1:
            raise AssertionError(f"one prediction was expected: {self}")
        return self.predictions[0]

    @property
    def dead_letter(self) -> Refusal:
        """The only dead letter; an `AssertionError` says what came where it is not one."""
        __tracebackhide__ = True
        if len(self.dead_letters) != 1:
            raise AssertionError(f"one dead letter was expected: {self}")
        return self.dead_letters[0]

    def __str__(self) -> str:
        """What came, a line for each dead letter: topic, reason, field and message."""
        head = f"{len(self.predictions)} predictions and {len(self.dead_letters)} dead letters came"
        told = [f"{head}{':' if self.dead_letters else ''}", *map(str, self.dead_letters[:_TOLD])]
        left = len(self.dead_letters) - _TOLD
        return "\n  ".join([*told, *([f"and {left} more"] if left > 0 else [])])


def seen_of(
    given: Mapping[Place, tuple[int, Sent]],
    predictions: Iterable[Message],
    dead_letters: Iterable[Message],
    rows: Mapping[str, Mapping[str, Any]],
    states: Mapping[str, Mapping[str, StateSeen]],
) -> Seen:
    """Put together what was written. `given`: the records by place, with their numbers in the list.

    `rows`: by prediction id.
    """
    answers, refusals = [], []
    for message in predictions:
        said = PredictionHeaders.of(by_name(message.headers))
        number, sent = given[Place(said.topic, said.partition, said.offset)]
        fields = json.loads(message.value or b"null")
        answers.append((number, Answer(sent, fields, rows[said.prediction_id], message)))
    for message in dead_letters:
        letter = DeadLetter.of(by_name(message.headers))
        number, sent = given[Place(letter.topic, letter.partition, letter.offset)]
        refusals.append((number, Refusal(sent, letter, message)))
    return Seen(
        [answer for _, answer in sorted(answers, key=lambda pair: pair[0])],
        [refusal for _, refusal in sorted(refusals, key=lambda pair: pair[0])],
        states,
    )


def cells(features: FeatureSet, columns: Mapping[str, Any]) -> dict[str, Any]:
    """A row as it is compared: a number that is missing is NaN."""
    return {
        name: math.nan if value is None and features.dtypes[name] != "string" else value
        for name, value in columns.items()
    }


def read_states(
    usecase: UseCase, records: Sequence[Sent], store: Store
) -> dict[str, dict[str, StateSeen]]:
    """The states of every entity that these records name, by view and entity key."""
    features = usecase.features
    arrivals = [Arrival(event, 0, 0, 0) for event in events_of(usecase, records)]
    wanted = FeatureEngine(features).gather(arrivals)
    seen: dict[str, dict[str, StateSeen]] = {}
    for view, found in zip(features.views, store.read(wanted), strict=True):
        states = StateCodec(view).unpack([packed for _, packed in found])
        seen[view.name] = {
            entity: StateSeen(
                state.count,
                state.newest,
                {each.name: each.read(state.values, state.newest) for each in view.columns},
            )
            for (entity, _), state in zip(found, states, strict=True)
        }
    return seen
