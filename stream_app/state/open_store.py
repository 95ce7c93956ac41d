"""Opens the store that the settings name."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial

from stream_app.config.settings import Settings
from stream_app.errors import ServiceAwayError
from stream_app.features.stores import MemoryStore, Store
from stream_app.features.stores.expiry import expiry_seconds
from stream_app.features.usecase import UseCase
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.retention import longest_retention_seconds

__all__ = ["open_store"]

log = logging.getLogger(__name__)


def open_store(
    settings: Settings, usecase: UseCase, application: str, brokers: Brokers | None = None
) -> Store:
    """Redis, or nothing to connect to where no view is declared; it connects when it is used.

    Whoever writes states gives `brokers`, which are asked how long their records are kept.
    """
    if not usecase.features.views:
        return MemoryStore(usecase.features)
    from stream_app.features.stores.redis import RedisStore, client_of, default_buckets

    url = settings.redis_url.get_secret_value()
    return RedisStore(
        client_of(url, timeout_seconds=settings.redis_timeout_seconds),
        usecase.features,
        application,
        buckets=settings.state_buckets or default_buckets(url),
        expiry_seconds=partial(_expiry, usecase, brokers)
        if brokers is not None and settings.state_expiry
        else None,
        on_warning=log.warning,
    )


def _expiry(usecase: UseCase, brokers: Brokers) -> Mapping[str, int]:
    """When Redis may forget a state of each view; never, where that is not certain."""
    times, views = usecase.times, usecase.features.views
    if times.earliest is not None or times.latest is not None:
        return {}  # event time need not go as fast as the clock that Redis expires by
    if all(view.ttl_seconds is None for view in views):
        return {}
    try:
        retention = longest_retention_seconds(brokers, [topic.name for topic in usecase.topics])
    except ServiceAwayError as error:
        log.warning(
            "states do not expire until the next start: the topics' retention is not known: %s",
            error,
        )
        return {}
    expiry = expiry_seconds(views, retention, times.behind_seconds + times.ahead_seconds)
    log.info(
        "states expire this many seconds after their last update: %s",
        ", ".join(f"{view} {seconds}" for view, seconds in expiry.items())
        or "none, a topic keeps its records for ever",
    )
    return expiry
