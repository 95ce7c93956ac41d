"""States in Redis (or Valkey), on one server or on a cluster."""

from features.stores.redis.store import RedisStore

__all__ = ["RedisStore"]
