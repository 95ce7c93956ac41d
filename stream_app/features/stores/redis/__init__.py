"""States in Redis (or Valkey), on one server or on a cluster."""

from stream_app.features.stores.redis.clients import client_of, default_buckets
from stream_app.features.stores.redis.options import check_options
from stream_app.features.stores.redis.store import RedisStore

__all__ = ["RedisStore", "check_options", "client_of", "default_buckets"]
