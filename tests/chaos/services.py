"""Where a round takes place: real brokers and a real Redis, each behind a proxy of its own.

Workers go through the proxies. The test itself does not: what it produces and reads at the end is
no fault's business.
"""

import logging
from contextlib import ExitStack
from typing import Any, Self

from redis import Redis

from stream_app.local import LocalKafka, LocalKafkaCluster, LocalRedis
from stream_app.local.ports import free_ports
from tests.chaos.proxy import Proxy, ProxyLoop

__all__ = ["Services"]

log = logging.getLogger(__name__)

_BROKER = {
    # A worker that is gone is given up as soon under the new group protocol as under the old.
    "group.consumer.session.timeout.ms": "2000",
    "group.consumer.heartbeat.interval.ms": "500",
    # A transaction whose time is up is aborted then, not up to 10 s later.
    # A broker that is gone leads no more after three seconds, not nine.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
}

_ADMIN = "chaos"
_REDIS_SECONDS = 10.0
_AS_ADMIN: dict[str, Any] = {
    "username": _ADMIN, "password": "any", "socket_timeout": _REDIS_SECONDS
}  # fmt: skip


class Services:
    """One broker or a cluster of three, and a Redis. A context manager: leaving it ends all."""

    def __init__(self, brokers: int) -> None:
        """`brokers`: 1 or 3."""
        self._stack = ExitStack()
        with ExitStack() as stack:
            loop = ProxyLoop()
            stack.callback(loop.close)
            *kafka_ports, redis_port = free_ports(brokers + 1)
            self.kafka_links = [
                stack.enter_context(Proxy(loop, upstream_port=port)) for port in kafka_ports
            ]
            self.redis_link = stack.enter_context(Proxy(loop, upstream_port=redis_port))
            advertised = [link.address for link in self.kafka_links]
            self._kafka: LocalKafka | LocalKafkaCluster
            self.brokers: tuple[LocalKafka, ...]
            if brokers == 1:
                alone = LocalKafka(
                    port=kafka_ports[0], advertised=advertised[0], properties=_BROKER
                )
                self._kafka, self.brokers = alone, (alone,)
            else:
                together = LocalKafkaCluster(
                    ports=kafka_ports, advertised=advertised, properties=_BROKER
                )
                self._kafka, self.brokers = together, together.nodes
            self.redis = LocalRedis(
                port=redis_port,
                # With `everysec`, a write may wait in the server's memory while the disk is busy,
                # and kill -9 takes what was acknowledged.
                settings={"appendfsync": "always", "user": f"{_ADMIN} on nopass ~* &* +@all"},
            )
            stack.enter_context(self.redis)
            stack.enter_context(self._kafka)
            self._stack = stack.pop_all()

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers for workers: the proxies."""
        return ",".join(link.address for link in self.kafka_links)

    @property
    def redis_url(self) -> str:
        """Redis for workers: the proxy."""
        return f"redis://{self.redis_link.address}/0"

    @property
    def internal(self) -> str:
        """Bootstrap servers for the test."""
        return self._kafka.internal

    def leader(self, topic: str) -> LocalKafka:
        """The broker that leads a topic's first partition."""
        if isinstance(self._kafka, LocalKafkaCluster):
            return self._kafka.leader(topic)
        return self._kafka

    def rights_in_redis(self, rule: str) -> None:
        """Give rights to the user that workers are, or take them away."""
        # As another user: who takes away his own rights cannot give them back.
        with Redis.from_url(self.redis.url, **_AS_ADMIN) as client:
            client.execute_command("ACL", "SETUSER", "default", rule)

    def empty_redis(self) -> None:
        """All that it acknowledged is gone."""
        with Redis.from_url(self.redis.url, **_AS_ADMIN) as client:
            client.flushall()

    def heal(self) -> None:
        """Everything runs, every way to it is open, and nothing is refused."""
        for link in (*self.kafka_links, self.redis_link):
            link.heal()
        for service in (*self.brokers, self.redis):
            service.resume()
            service.start()
        self.rights_in_redis("+@all")

    def __enter__(self) -> Self:
        return self

    def close(self) -> None:
        """End all."""
        self._stack.close()

    def __exit__(self, *_: object) -> None:
        self.close()
