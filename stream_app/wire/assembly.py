"""Puts the emitters of a use case together: the one list of what goes out. A topic more is a line here."""

from __future__ import annotations

from typing import NamedTuple

from stream_app import __version__
from stream_app.config.settings import Settings
from stream_app.features.usecase import UseCase
from stream_app.text.redaction import Redaction
from stream_app.wire.dead_letter import DeadLetters
from stream_app.wire.feature_row import FeatureLog
from stream_app.wire.outgoing import Emitter
from stream_app.wire.prediction import Predictions

__all__ = ["Emitters", "make_emitters", "redaction_of"]


class Emitters(NamedTuple):
    """What writes to the topics out."""

    in_order: tuple[Emitter, ...]
    """Predictions before dead letters: a prediction that cannot be written becomes a dead letter."""
    predictions: Predictions
    """One of them: it also finds answers that cannot be written."""
    dead_letters: DeadLetters
    """One of them: it also writes the letter of a prediction that the brokers refuse."""


def redaction_of(settings: Settings) -> Redaction:
    """What replaces fields of values that people may see."""
    return Redaction(settings.redact_fields, most_bytes=settings.max_value_bytes)


def make_emitters(settings: Settings, usecase: UseCase, model_version: str) -> Emitters:
    """The emitters of a use case; `model_version`: NAME/VERSION of the champion."""
    dead_letters = DeadLetters(
        usecase.dead_letters_topic,
        group=settings.application or usecase.name,
        code_version=__version__,
        model_version=model_version,
        producer_header=settings.producer_header,
        keeps_value=settings.dead_letter_payload == "full",
        redaction=redaction_of(settings),
    )
    predictions = Predictions(
        usecase.predictions_topic, usecase.prediction, settings.application or usecase.name
    )
    in_order: list[Emitter] = [predictions, dead_letters]
    if settings.feature_log_topic:
        columns = usecase.features.columns
        in_order.append(FeatureLog(settings.feature_log_topic, settings.feature_log_share, columns))
    return Emitters(tuple(in_order), predictions, dead_letters)
