"""What any consumer can see: the records of the event topics, and what came of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import NamedTuple

from confluent_kafka import Message

from stream_app.features.usecase import UseCase
from stream_app.records.places import Place
from stream_app.wire.dead_letter import DeadLetter
from stream_app.wire.headers import Named, by_name
from stream_app.wire.prediction import PredictionHeaders

__all__ = ["Observation", "Served", "Source"]


class Source(NamedTuple):
    """A record of an event topic."""

    timestamp: float
    """Of the record, in seconds since the epoch."""
    value: bytes | None


class Served(NamedTuple):
    """A prediction."""

    timestamp: float
    """Of the record, in seconds since the epoch."""
    score: float
    served_by: str
    degraded: str | None
    state_ahead: bool
    """Whether the state it was made from already held its own event: left out of accuracy."""


class Observation:
    """Takes records in, in any order, and joins them by the place of their source."""

    def __init__(self, usecase: UseCase) -> None:
        self._predictions_topic = usecase.predictions_topic
        self._dead_letters_topic = usecase.dead_letters_topic
        self.sources: dict[Place, Source] = {}
        self.predictions: dict[Place, list[Served]] = {}
        self.dead_letters: dict[Place, list[DeadLetter]] = {}
        self.last_prediction: bytes | None = None
        """The value of the one that was read last."""
        self.strays: list[str] = []
        """What lies in the topics out and does not say where it came from."""

    def take(self, messages: Iterable[Message]) -> None:
        """Take in records of the event topics and of both topics out."""
        for message in messages:
            topic = message.topic()
            if topic == self._predictions_topic:
                self._take_output(message, self._prediction)
            elif topic == self._dead_letters_topic:
                self._take_output(message, self._dead_letter)
            else:
                self.sources[_place(message)] = Source(_timestamp(message), message.value())

    def _take_output(self, message: Message, keep: Callable[[Message, Named], None]) -> None:
        try:
            keep(message, by_name(message.headers()))  # type: ignore[arg-type]  # a list of pairs
        except (KeyError, ValueError) as error:
            self.strays.append(f"{_place(message)}: {type(error).__name__}: {error}")

    def _prediction(self, message: Message, headers: Named) -> None:
        said = PredictionHeaders.of(headers)
        text = message.value() or b""
        value = json.loads(text)
        self.last_prediction = text
        served = Served(
            _timestamp(message),
            float(value["score"]),
            value["served_by"],
            value["degraded"],
            said.state_ahead,
        )
        place = Place(said.topic, said.partition, said.offset)
        self.predictions.setdefault(place, []).append(served)

    def _dead_letter(self, message: Message, headers: Named) -> None:  # noqa: ARG002
        said = DeadLetter.of(headers)
        place = Place(said.topic, said.partition, said.offset)
        self.dead_letters.setdefault(place, []).append(said)


def _place(message: Message) -> Place:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    return Place(topic, partition, offset)


def _timestamp(message: Message) -> float:
    _, milliseconds = message.timestamp()
    return milliseconds / 1_000.0
