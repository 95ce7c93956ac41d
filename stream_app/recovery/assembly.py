"""Puts a log replay together: the worker rebuilds lost state with it, a command the next generation."""

from __future__ import annotations

from collections.abc import Callable

from stream_app.alignment.assembly import make_record_clock
from stream_app.config.settings import Settings
from stream_app.features.stores import Store
from stream_app.features.usecase import UseCase
from stream_app.kafka.brokers import Brokers
from stream_app.observer.observer import Observer
from stream_app.predictor.assembly import decode_stage, make_predictor
from stream_app.predictor.decode import Decode
from stream_app.recovery.dead_lettered import DeadLettered
from stream_app.recovery.log_replay import LogReplay
from stream_app.waiting.retry import Retry

__all__ = ["make_log_replay"]


def make_log_replay(
    settings: Settings,
    usecase: UseCase,
    application: str,
    brokers: Brokers,
    store: Store,
    retry: Retry,
    observer: Observer,
    guard: Callable[[Decode], Decode] = lambda decode: decode,
) -> LogReplay:
    """What re-reads the log into a store; it shares no state in memory with anybody.

    `guard` keeps records that may end the process out of the stage that decodes.
    """
    # Errors of a record were reported when it was first read, so nobody listens here.
    untold = Observer()
    dead_lettered = DeadLettered(settings, usecase, application, brokers, retry)
    decode = dead_lettered.leave_out(guard(decode_stage(settings, usecase, untold, retry=retry)))
    return LogReplay(
        settings.consumer_properties(application),
        make_record_clock(settings, usecase, brokers, retry, untold),
        make_predictor(settings, usecase, (), store, retry, observer, decode=decode),
        observer,
        before=dead_lettered.look,
    )
