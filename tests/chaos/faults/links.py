"""Faults of the ways to the brokers and to Redis."""

import random

from tests.chaos.faults.base import Context, Fault
from tests.chaos.proxy import Proxy

__all__ = [
    "KafkaBlackHole",
    "KafkaCut",
    "KafkaRefused",
    "KafkaSlow",
    "RedisBlackHole",
    "RedisCut",
    "RedisRefused",
    "RedisSlow",
]


_SLOWEST_SECONDS = 0.15


class _OnLink(Fault):
    """Strikes the connections of all workers to one broker, or to Redis."""

    def link(self, context: Context) -> Proxy:
        """What it strikes."""
        if self.target == "redis link":
            return context.services.redis_link
        return context.services.kafka_links[self.choice % len(context.services.kafka_links)]

    def heal(self, context: Context) -> None:
        self.link(context).heal()


class _Cut(_OnLink):
    """Connections are reset; new ones are welcome."""

    def begin(self, context: Context) -> None:
        self.link(context).cut()


class _Refused(_OnLink):
    """Connections are reset and new ones refused."""

    shortest_seconds, longest_seconds = 0.5, 3.0

    def begin(self, context: Context) -> None:
        self.link(context).refuse()


class _Slow(_OnLink):
    """Everything takes longer, both ways."""

    shortest_seconds, longest_seconds = 2.0, 5.0

    def begin(self, context: Context) -> None:
        self.link(context).slow(random.Random(self.choice).uniform(0.01, _SLOWEST_SECONDS))


class _Frozen(_OnLink):
    """A black hole: connections stay open and nothing passes."""

    shortest_seconds, longest_seconds = 1.0, 4.0

    def begin(self, context: Context) -> None:
        self.link(context).freeze()


class KafkaCut(_Cut):
    kind, target = "kafka-cut", "kafka link"


class KafkaRefused(_Refused):
    kind, target = "kafka-refused", "kafka link"


class KafkaSlow(_Slow):
    kind, target = "kafka-slow", "kafka link"


class KafkaBlackHole(_Frozen):
    kind, target = "kafka-black-hole", "kafka link"


class RedisCut(_Cut):
    kind, target = "redis-cut", "redis link"


class RedisRefused(_Refused):
    kind, target = "redis-refused", "redis link"


class RedisSlow(_Slow):
    kind, target = "redis-slow", "redis link"


class RedisBlackHole(_Frozen):
    kind, target = "redis-black-hole", "redis link"
