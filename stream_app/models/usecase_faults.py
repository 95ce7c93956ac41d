"""What is wrong with a use case, found without any service: for `stream-app check`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from stream_app.errors import ServiceAwayError
from stream_app.features.events import Event, InvalidEventError, LogRecord
from stream_app.features.usecase import InputTopic, UseCase
from stream_app.models.columns import column_faults
from stream_app.models.declaration_faults import declaration_faults
from stream_app.text.causes import cause_of, unless_told_to_end

__all__ = ["usecase_faults"]

#: Values that anybody may send to a topic, and that no contract takes.
_STRANGE: Final = (b"\xff\xfe", b"null", b"[]", b"{}", b'""', b"\x00\x00\x00\x00\x01")

_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def usecase_faults(usecase: UseCase) -> Iterator[str]:
    """What is wrong with the declaration, its decoders and its columns, a sentence each."""
    misshapen = [*declaration_faults(usecase)]
    if misshapen:
        yield from misshapen
        return
    yield from _topics(usecase)
    yield from _types(usecase)
    for topic in usecase.topics:
        yield from _decoder(topic)
    yield from column_faults(usecase.features)


def _topics(usecase: UseCase) -> Iterator[str]:
    names = [topic.name for topic in usecase.topics]
    if not names:
        yield f"The use case {usecase.name} has no topic to read: give it topics=(InputTopic(...),)."
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"The topic {name} is read twice: name it once, with one decoder."
    for name in (*names, usecase.predictions_topic, usecase.dead_letters_topic):
        if not _TOPIC.fullmatch(name):
            yield (
                f"The topic {name!r} has a name that Kafka does not take: letters, digits, dots, "
                "underscores and hyphens, 249 at most."
            )
    for name in (usecase.predictions_topic, usecase.dead_letters_topic):
        if name in names:
            yield f"The topic {name} is read and written: what is published would be read again."
    if usecase.predictions_topic == usecase.dead_letters_topic:
        yield f"Predictions and dead letters go to one topic, {usecase.predictions_topic}: name two."
    if not usecase.features.triggers:
        yield "No event type asks for a prediction: name one in the feature set's triggers."


def _types(usecase: UseCase) -> Iterator[str]:
    """Event types that no topic brings, where every decoder says which it gives."""
    brought = [topic.decoder.event_types for topic in usecase.topics]
    if not all(brought):
        return
    known = [kind for kinds in brought for kind in kinds]
    told = set()
    for kind, what in _uses(usecase):
        if kind not in told and not any(issubclass(each, kind) for each in known):
            told.add(kind)
            yield (
                f"No topic brings {kind.__name__}, which {what}: give the use case an "
                f"InputTopic(NAME, {kind.__name__})."
            )


def _uses(usecase: UseCase) -> Iterator[tuple[type[Event], str]]:
    for kind in usecase.features.triggers:
        yield kind, "asks for a prediction"
    for view in usecase.features.views:
        for kind in view.on:
            yield kind, f"updates the view {view.name}"
    if usecase.outcome is not None:
        yield usecase.outcome.event, "is the outcome"


def _decoder(topic: InputTopic) -> Iterator[str]:
    for value in _STRANGE:
        try:
            event: object = topic.decoder(LogRecord(value, topic=topic.name))
        except InvalidEventError:
            continue
        except ServiceAwayError:
            return  # it asks a service, which a check does without
        except BaseException as error:  # noqa: BLE001 - a use case's decoder may raise anything
            unless_told_to_end(error)
            yield (
                f"The decoder of {topic.name} raises {cause_of(error)} for a value that is no event: "
                "let it raise InvalidEventError with a reason, so that a dead letter explains it."
            )
            return
        if event is not None and not isinstance(event, Event):
            yield (
                f"The decoder of {topic.name} gives a {type(event).__name__}, which is no event: "
                "return an object of a class that derives from stream_app.Event."
            )
            return
