"""Puts the stage publish together: at least once or exactly once, as the setting `delivery` says."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from stream_app.config.settings import Settings
from stream_app.delivery.publish import Publishing, PublishStage
from stream_app.delivery.refusals import Refusals
from stream_app.delivery.transactions import TransactionStage
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.connection_causes import ConnectionCauses
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.kafka.output_topics import OutputTopics
from stream_app.kafka.producers import Producers
from stream_app.observer.observer import Observer
from stream_app.waiting.retry import Retry
from stream_app.wire.dead_letter import DeadLetters

__all__ = ["make_publishing"]


def make_publishing(
    settings: Settings,
    application: str,
    dead_letters: DeadLetters,
    output_topics: OutputTopics,
    brokers: Brokers,
    causes: ConnectionCauses,
    tracker: OffsetTracker,
    retry: Retry,
    observer: Observer,
    *,
    group_metadata: Callable[[], Any],
) -> Publishing:
    """The stage publish of a worker; `group_metadata` gives the generation of its consumer group."""
    refusals = Refusals(dead_letters, limit_bytes=output_topics.limit_bytes)
    if settings.delivery == "at_least_once":
        return PublishStage(
            Producers(causes.watched(settings.producer_properties())),
            retry,
            refusals,
            has_ended=tracker.has_ended,
            look=output_topics.look,
            why_unacknowledged=output_topics.why_unacknowledged,
            stopping=retry.stopped,
            observer=observer,
        )
    instance = settings.group_instance_id or uuid.uuid4().hex
    properties = settings.transaction_properties(application, instance)
    return TransactionStage(
        Producers(causes.watched(properties)),
        retry,
        refusals,
        tracker,
        interval_seconds=settings.commit_interval_seconds,
        timeout_seconds=settings.transaction_timeout_seconds,
        group_metadata=group_metadata,
        committed=brokers.committed_of,
        look=output_topics.look,
        why_unacknowledged=output_topics.why_unacknowledged,
        observer=observer,
    )
