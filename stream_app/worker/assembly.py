"""Parts that more than one program is made of: the worker, and the command that rebuilds state."""

from __future__ import annotations

import logging
from collections.abc import Callable

from stream_app.alignment.record_clock import ClockDoubt, RecordClock
from stream_app.config.settings import Settings
from stream_app.crash_isolation.isolation import Attempt, guarded
from stream_app.features.stores import Store
from stream_app.features.usecase import UseCase
from stream_app.predictor.assembly import decode_stage, make_predictor
from stream_app.recovery.log_replay import RECORDS_A_STEP, Rebuild, Work, unwatched
from stream_app.telemetry.metrics import Metrics
from stream_app.waiting.retry import Patience

__all__ = ["make_rebuild", "record_clock"]

log = logging.getLogger(__name__)


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


def make_rebuild(
    settings: Settings,
    usecase: UseCase,
    application: str,
    store: Store,
    patience: Patience,
    metrics: Metrics,
    attempt: Attempt | None = None,
    work: Work = unwatched,
) -> Rebuild:
    """What re-reads the log into a store; it shares no state in memory with anybody.

    `attempt` tries records that may end the process; `work` watches over each step.
    """
    plain = decode_stage(settings, usecase)
    decode = (
        plain
        if attempt is None
        else guarded(
            plain, attempt, starts=settings.crash_isolation_starts, region_records=RECORDS_A_STEP
        )
    )
    return Rebuild(
        settings.consumer_properties(application),
        record_clock(settings, usecase, patience),
        make_predictor(
            settings,
            usecase,
            (),
            store,
            patience,
            decode=decode,
            on_seconds=metrics.redis_seconds,
            on_conflicts=metrics.state_conflicts,
        ),
        on_records=metrics.rebuilt_records,
        work=work,
    )
