"""Puts the flood breaker of a worker together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stream_app.alignment.align import AlignStage
from stream_app.config.settings import Settings
from stream_app.crash_isolation.isolation import CrashIsolation
from stream_app.dead_letters.resolutions import resolutions_topic
from stream_app.features.stores import Store
from stream_app.features.usecase import UseCase
from stream_app.flood.breaker import FloodBreaker
from stream_app.flood.record_trials import RecordTrials
from stream_app.flood.refusal_counts import Limit, Limits
from stream_app.flood.resume_orders import ResumeOrders
from stream_app.flood.trial_threads import TrialThreads
from stream_app.flood.valve import PartitionValve
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.models import Model
from stream_app.observer.observer import Listener, Observer
from stream_app.predictor.assembly import decode_stage, make_predictor
from stream_app.predictor.decode import Decode
from stream_app.records.partition import Partition
from stream_app.state.only_read import OnlyRead
from stream_app.waiting.retry import Retry
from stream_app.wire.outgoing import OutgoingRecords

__all__ = ["limits_of", "make_flood_breaker", "make_trial_threads"]


def limits_of(settings: Settings) -> Limits | None:
    """The limits that the settings name; None where the breaker is off."""
    if not settings.flood_breaker:
        return None
    return Limits(
        Limit(settings.flood_poison_in_a_row, settings.flood_poison_share),
        Limit(settings.flood_bug_in_a_row, settings.flood_bug_share),
        settings.flood_window_records,
    )


def make_trial_threads(
    settings: Settings,
    usecase: UseCase,
    application: str,
    models: Sequence[Model],
    store: Store,
    brokers: Brokers,
    outgoing: OutgoingRecords,
    retry: Retry,
    guard: Callable[[Decode], Decode],
    watchdog: Sequence[Listener],
) -> TrialThreads:
    """What tries the records of stopped partitions.

    `guard` keeps records that may end the process out of the stage that decodes. `watchdog` is told of
    each stage of a trial: a record that never ends would else keep the thread, and no operator be heard.
    """

    def make() -> RecordTrials:
        # What becomes of records is told when they are taken, so nobody else listens here.
        untold = Observer(watchdog)
        decode = guard(decode_stage(settings, usecase, untold, retry=retry))
        only_read: Store = OnlyRead(store)  # type: ignore[assignment]
        return RecordTrials(
            brokers,
            make_predictor(settings, usecase, models, only_read, retry, untold, decode=decode),
            outgoing,
            newest_records=settings.flood_trial_records,
            stopped=retry.stopped,
        )

    return TrialThreads(
        make,
        ResumeOrders(brokers, resolutions_topic(settings, application)),
        interval_seconds=settings.flood_retry_seconds,
    )


def make_flood_breaker(
    settings: Settings,
    trials: TrialThreads,
    tracker: OffsetTracker,
    align: AlignStage,
    isolation: CrashIsolation,
    observer: Observer,
    *,
    stop: Callable[[Partition], None],
    go_on: Callable[[Partition, int], None],
) -> FloodBreaker:
    """The flood breaker of a worker; `stop` and `go_on` are its consumer's."""
    return FloodBreaker(
        limits_of(settings),
        PartitionValve(tracker, align, isolation, stop=stop, go_on=go_on),
        trials,
        observer,
        letters_per_second=settings.flood_letters_per_second,
    )
