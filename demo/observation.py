"""What any consumer can see: the records of the event topics, and what came of each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from confluent_kafka import Message

from stream_app.features.usecase import UseCase
from stream_app.records.places import Place

__all__ = ["DeadLetter", "Observation", "Served", "Source"]


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


class DeadLetter(NamedTuple):
    """A record that was refused."""

    reason: str


class Observation:
    """Takes records in, in any order, and joins them by the place of their source."""

    def __init__(self, usecase: UseCase) -> None:
        self._predictions_topic = usecase.predictions_topic
        self._dead_letters_topic = usecase.dead_letters_topic
        self.sources: dict[Place, Source] = {}
        self.predictions: dict[Place, list[Served]] = {}
        self.dead_letters: dict[Place, list[DeadLetter]] = {}
        self.strays: list[str] = []
        """What lies in the topics out and does not say where it came from."""

    def take(self, messages: Iterable[Message]) -> None:
        """Take in records of the event topics and of both topics out."""
        for message in messages:
            topic = message.topic()
            if topic == self._predictions_topic:
                self._take_output(message, "source-", self._prediction)
            elif topic == self._dead_letters_topic:
                self._take_output(message, "dead-letter.", self._dead_letter)
            else:
                self.sources[_place(message)] = Source(_timestamp(message), message.value())

    def _take_output(self, message: Message, prefix: str, keep: Any) -> None:
        headers = _headers(message)
        try:
            place = Place(
                headers[f"{prefix}topic"].decode(),
                int(headers[f"{prefix}partition"]),
                int(headers[f"{prefix}offset"]),
            )
            keep(place, message, headers)
        except (KeyError, ValueError) as error:
            self.strays.append(f"{_place(message)}: {type(error).__name__}: {error}")

    def _prediction(self, place: Place, message: Message, headers: dict[str, bytes]) -> None:
        value = json.loads(message.value() or b"")
        served = Served(
            _timestamp(message),
            float(value["score"]),
            value["served_by"],
            value["degraded"],
            headers.get("state-ahead") == b"true",
        )
        self.predictions.setdefault(place, []).append(served)

    def _dead_letter(self, place: Place, message: Message, headers: dict[str, bytes]) -> None:  # noqa: ARG002
        letter = DeadLetter(headers["dead-letter.reason"].decode())
        self.dead_letters.setdefault(place, []).append(letter)


def _place(message: Message) -> Place:
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    assert topic is not None
    assert partition is not None
    assert offset is not None
    return Place(topic, partition, offset)


def _timestamp(message: Message) -> float:
    _, milliseconds = message.timestamp()
    return milliseconds / 1_000.0


def _headers(message: Message) -> dict[str, bytes]:
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return {name: value for name, value in headers if value is not None}
