"""Opens the store that a use case's state lives in."""

from __future__ import annotations

from features.stores import MemoryStore, Store
from features.usecase import UseCase
from stream_app.settings import Settings

__all__ = ["open_store"]


def open_store(settings: Settings, usecase: UseCase, application: str) -> Store:
    """Redis, or nothing to connect to where no view is declared."""
    if not usecase.features.views:
        return MemoryStore(usecase.features)
    from redis import Redis

    from features.stores.redis import RedisStore

    client = Redis.from_url(
        settings.redis_url.get_secret_value(),
        socket_timeout=settings.redis_timeout_seconds,
        socket_connect_timeout=settings.redis_timeout_seconds,
    )
    return RedisStore(client, usecase.features, application, buckets=settings.state_buckets)
