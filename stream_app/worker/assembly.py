"""Parts that more than one program is made of: the worker, and the command that rebuilds state."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Final

from stream_app.alignment.record_clock import ClockDoubt, RecordClock
from stream_app.config.settings import Settings
from stream_app.features.engine.engine import FeatureEngine
from stream_app.features.stores import Store
from stream_app.features.usecase import UseCase
from stream_app.predictor.decode import Decode, DecodeStage
from stream_app.predictor.enrich import EnrichStage
from stream_app.recovery.log_replay import Rebuild, Work, unwatched
from stream_app.state.stage import StateStage
from stream_app.telemetry.metrics import Metrics
from stream_app.waiting.retry import Patience
from stream_app.wire.replays import Replays

__all__ = ["decode_stage", "make_rebuild", "record_clock"]

log = logging.getLogger(__name__)

_TELL_SECONDS: Final = 60.0


def record_clock(
    settings: Settings,
    usecase: UseCase,
    patience: Patience,
    *,
    on_corrected: Callable[[int], None] = lambda _: None,
) -> RecordClock:
    """What dates a use case's records."""
    doubt = ClockDoubt(usecase.times, patience) if settings.clock_doubt == "stop" else None
    return RecordClock(settings.clock_ahead_seconds, doubt=doubt, on_corrected=on_corrected)


def decode_stage(
    settings: Settings,
    usecase: UseCase,
    *,
    on_unknown_fields: Callable[[str, int], None] = lambda *_: None,
) -> DecodeStage:
    """The stage that decodes a use case's events."""
    return DecodeStage(
        {topic.name: topic.decoder for topic in usecase.topics},
        usecase.times,
        max_value_bytes=settings.max_value_bytes,
        on_unknown_fields=on_unknown_fields,
        replays=Replays(
            settings.application or usecase.name,
            settings.replay_secret,
            on_unbelieved=_UnbelievedReplays(),
        ),
    )


def make_rebuild(
    settings: Settings,
    usecase: UseCase,
    application: str,
    store: Store,
    patience: Patience,
    metrics: Metrics,
    guard: Callable[[Decode], Decode] = lambda decode: decode,
    work: Work = unwatched,
) -> Rebuild:
    """What re-reads the log into a store; it shares no state in memory with anybody.

    `guard` keeps records that may end the process out of the stage that decodes; `work` watches over
    each step.
    """
    engine = FeatureEngine(usecase.features)
    state = StateStage(
        engine,
        store,
        patience,
        on_seconds=metrics.redis_seconds,
        on_conflicts=metrics.state_conflicts,
    )
    return Rebuild(
        settings.consumer_properties(application),
        record_clock(settings, usecase, patience),
        guard(decode_stage(settings, usecase)),
        EnrichStage(engine, state, usecase.times),
        state,
        on_records=metrics.rebuilt_records,
        work=work,
    )


class _UnbelievedReplays:
    """Tells the log, once a minute at most, of records that call themselves replays and are none."""

    def __init__(self) -> None:
        self._count = 0
        self._told_at = -math.inf

    def __call__(self) -> None:
        self._count += 1
        now = time.monotonic()
        if now - self._told_at >= _TELL_SECONDS:
            self._told_at = now
            log.warning(
                "%d records so far have a header replay-of without a replay-token made with this "
                "worker's replay_secret: each is taken as a record of its own",
                self._count,
            )
