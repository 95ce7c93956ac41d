"""Puts a predictor together: the one place that knows what each of its stages needs."""

from __future__ import annotations

from collections.abc import Sequence

from stream_app.config.settings import Settings
from stream_app.features.engine.engine import FeatureEngine
from stream_app.features.stores import Store
from stream_app.features.usecase import TimeBounds, UseCase
from stream_app.models import Model
from stream_app.observer.observer import Observer
from stream_app.predictor.decode import Decode, DecodeStage
from stream_app.predictor.enrich import EnrichStage
from stream_app.predictor.predictor import Predictor
from stream_app.predictor.score import ScoreStage
from stream_app.state.stage import StateStage
from stream_app.text.exception_texts import ExceptionTexts
from stream_app.text.redaction import Redaction
from stream_app.waiting.retry import Retry
from stream_app.wire.replays import Replays

__all__ = ["decode_stage", "make_predictor"]


def make_predictor(
    settings: Settings,
    usecase: UseCase,
    models: Sequence[Model],
    store: Store,
    retry: Retry,
    observer: Observer,
    *,
    decode: Decode | None = None,
) -> Predictor:
    """The predictor of a use case.

    `models`: the champion first, then the fallbacks in their order; empty for a caller that only
    applies records to the state. `store`: where states that are not in memory are read from.
    `decode`: used instead of the plain stage, for example one that first tries records.
    """
    engine = FeatureEngine(usecase.features)
    state = StateStage(engine, store, retry, observer)
    texts = _texts(settings)
    return Predictor(
        decode or decode_stage(settings, usecase, observer, retry=retry),
        EnrichStage(engine, state, usecase.times, texts=texts),
        ScoreStage(models, usecase, texts=texts),
        state,
        observer,
    )


def _texts(settings: Settings) -> ExceptionTexts:
    return ExceptionTexts(are_told=settings.exception_texts)


def decode_stage(
    settings: Settings,
    usecase: UseCase,
    observer: Observer,
    *,
    retry: Retry | None = None,
    times: TimeBounds | None = None,
) -> DecodeStage:
    """The stage that decodes a use case's events.

    `retry` waits for a service that a decoder asks; without it `ServiceAwayError` is raised. `times`:
    instead of the use case's own bounds.
    """
    return DecodeStage(
        {topic.name: topic.decoder for topic in usecase.topics},
        times or usecase.times,
        max_value_bytes=settings.max_value_bytes,
        observer=observer,
        retry=retry,
        replays=Replays(settings.application or usecase.name, settings.replay_secret),
        texts=_texts(settings),
        redaction=Redaction(settings.redact_fields),
    )
