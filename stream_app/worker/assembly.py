"""Parts that more than one program is made of: the worker, and the command that rebuilds state."""

from __future__ import annotations

import logging

from stream_app.alignment.record_clock import ClockDoubt, RecordClock
from stream_app.config.settings import Settings
from stream_app.crash_isolation.isolation import Attempt, guarded
from stream_app.features.stores import Store
from stream_app.features.usecase import UseCase
from stream_app.observer.observer import Observer
from stream_app.predictor.assembly import decode_stage, make_predictor
from stream_app.recovery.log_replay import RECORDS_A_STEP, Rebuild
from stream_app.waiting.retry import Patience

__all__ = ["make_rebuild", "record_clock"]

log = logging.getLogger(__name__)


def record_clock(
    settings: Settings,
    usecase: UseCase,
    patience: Patience,
    observer: Observer,
) -> RecordClock:
    """What dates a use case's records."""
    doubt = ClockDoubt(usecase.times, patience) if settings.clock_doubt == "stop" else None
    return RecordClock(settings.clock_ahead_seconds, observer, doubt=doubt)


def make_rebuild(
    settings: Settings,
    usecase: UseCase,
    application: str,
    store: Store,
    patience: Patience,
    observer: Observer,
    attempt: Attempt | None = None,
) -> Rebuild:
    """What re-reads the log into a store; it shares no state in memory with anybody.

    `attempt` tries records that may end the process.
    """
    # What is wrong with a record was told when it was read first.
    untold = Observer()
    plain = decode_stage(settings, usecase, untold)
    decode = (
        plain
        if attempt is None
        else guarded(
            plain, attempt, starts=settings.crash_isolation_starts, region_records=RECORDS_A_STEP
        )
    )
    return Rebuild(
        settings.consumer_properties(application),
        record_clock(settings, usecase, patience, untold),
        make_predictor(settings, usecase, (), store, patience, observer, decode=decode),
        observer,
    )
