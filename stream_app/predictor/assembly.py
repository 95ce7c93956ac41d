"""Puts a predictor together: the one place that knows what each of its stages needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from stream_app.config.settings import Settings
from stream_app.features.engine.engine import FeatureEngine
from stream_app.features.stores import Store
from stream_app.features.usecase import TimeBounds, UseCase
from stream_app.models import Model
from stream_app.predictor.decode import Decode, DecodeStage
from stream_app.predictor.enrich import EnrichStage
from stream_app.predictor.predictor import Around, Predictor, unwatched
from stream_app.predictor.score import ScoreStage
from stream_app.records.partition import Partition
from stream_app.state.stage import StateStage
from stream_app.waiting.retry import Patience
from stream_app.wire.replays import Replays

__all__ = ["decode_stage", "make_predictor"]


def make_predictor(
    settings: Settings,
    usecase: UseCase,
    models: Sequence[Model],
    store: Store,
    patience: Patience,
    *,
    around: Around = unwatched,
    decode: Decode | None = None,
    rebuilding: Collection[Partition] = frozenset(),
    on_seconds: Callable[[str, float], None] = lambda *_: None,
    on_conflicts: Callable[[int], None] = lambda _: None,
) -> Predictor:
    """The predictor of a use case.

    `models`: the champion first, then the fallbacks in their order; none for who only applies records
    to the state. `store`: where states are read from that are not in memory. `decode`: instead of the
    plain stage, one that tries records before. Records of partitions in `rebuilding` neither read the
    state nor update it.
    """
    engine = FeatureEngine(usecase.features)
    state = StateStage(engine, store, patience, on_seconds=on_seconds, on_conflicts=on_conflicts)
    return Predictor(
        decode or decode_stage(settings, usecase),
        EnrichStage(engine, state, usecase.times, rebuilding),
        ScoreStage(models, usecase.fields, usecase.prediction),
        state,
        around=around,
    )


def decode_stage(
    settings: Settings,
    usecase: UseCase,
    *,
    times: TimeBounds | None = None,
    on_unknown_fields: Callable[[str, int], None] = lambda *_: None,
    on_unbelieved_replay: Callable[[], None] = lambda: None,
) -> DecodeStage:
    """The stage that decodes a use case's events; `times`: instead of the use case's own bounds."""
    return DecodeStage(
        {topic.name: topic.decoder for topic in usecase.topics},
        times or usecase.times,
        max_value_bytes=settings.max_value_bytes,
        on_unknown_fields=on_unknown_fields,
        replays=Replays(
            settings.application or usecase.name,
            settings.replay_secret,
            on_unbelieved=on_unbelieved_replay,
        ),
    )
