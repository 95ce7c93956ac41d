"""States in Redis (or Valkey), on one server or on a cluster."""

from features.stores.redis.clients import client_of, default_buckets
from features.stores.redis.options import check_options
from features.stores.redis.store import RedisStore

__all__ = ["RedisStore", "check_options", "client_of", "default_buckets"]
