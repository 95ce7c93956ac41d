"""Puts together what keeps a record that kills the process out of it: in serving, and in a rebuilding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from stream_app.config.settings import Settings
from stream_app.crash_isolation.isolation import CrashIsolation, guarded
from stream_app.crash_isolation.trial import Trial
from stream_app.features.stores import Store
from stream_app.features.usecase import UseCase
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.models import Model
from stream_app.observer.observer import Observer
from stream_app.predictor.assembly import decode_stage, make_predictor
from stream_app.predictor.decode import Decode
from stream_app.predictor.predictor import Predictor
from stream_app.waiting.retry import Retry

__all__ = ["make_guarded_predictor", "make_rebuilding_guard"]

_REGION_BATCHES: Final = 2
"""How many batches' records of one partition a process that dies may have had in hand."""


def make_guarded_predictor(
    settings: Settings,
    usecase: UseCase,
    models: Sequence[Model],
    store: Store,
    tracker: OffsetTracker,
    retry: Retry,
    observer: Observer,
) -> tuple[CrashIsolation, Predictor]:
    """The predictor of a worker, and what keeps records out of it that would end the process."""
    isolation = CrashIsolation(
        Trial(
            settings,
            retry,
            lambda partition: predictor.state.fencing[partition].source_id,
            observer,
            of="batches",
        ),
        tracker,
        starts=settings.crash_isolation_starts,
        region_records=_REGION_BATCHES * settings.batch_max_records,
    )
    decode = decode_stage(settings, usecase, observer, retry=retry)
    predictor = make_predictor(
        settings,
        usecase,
        models,
        store,
        retry,
        observer,
        decode=lambda records: isolation.decode(records, decode),
    )
    return isolation, predictor


def make_rebuilding_guard(
    settings: Settings,
    predictor: Predictor,
    tracker: OffsetTracker,
    retry: Retry,
    observer: Observer,
    *,
    region_records: int,
) -> Callable[[Decode], Decode]:
    """What guards the stage that decodes records which are read again; see `isolation.guarded`.

    `predictor`: the worker's, which knows what the fences of a partition are kept under.
    """
    fencing = predictor.state.fencing
    return partial(
        guarded,
        attempt=Trial(
            settings,
            retry,
            lambda partition: fencing[partition].source_id,
            observer,
            of="rebuilding",
        ),
        tracker=tracker,
        starts=settings.crash_isolation_starts,
        region_records=region_records,
    )
