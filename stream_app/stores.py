"""Opens the store that the settings name."""

from __future__ import annotations

from features.stores import MemoryStore, Store
from features.usecase import UseCase
from stream_app.settings import Settings

__all__ = ["open_store"]


def open_store(settings: Settings, usecase: UseCase, application: str) -> Store:
    """Redis, or nothing to connect to where no view is declared; it connects when it is used."""
    if not usecase.features.views:
        return MemoryStore(usecase.features)
    from features.stores.redis import RedisStore, client_of, default_buckets

    url = settings.redis_url.get_secret_value()
    return RedisStore(
        client_of(url, timeout_seconds=settings.redis_timeout_seconds),
        usecase.features,
        application,
        buckets=settings.state_buckets or default_buckets(url),
    )
