"""Where a round takes place: real brokers and a real Redis, each behind a proxy of its own.

Workers go through the proxies. The test itself does not: what it produces and reads at the end is
no fault's business.
"""

import logging
from contextlib import ExitStack
from typing import Self

from stream_app.local import LocalKafka, LocalKafkaCluster, LocalRedis
from stream_app.local.ports import free_ports
from tests.chaos.proxy import Proxy, ProxyLoop

__all__ = ["Grounds"]

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


class Grounds:
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
                settings={"appendfsync": "always"},
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

    def heal(self) -> None:
        """Everything runs, and every way to it is open."""
        for link in (*self.kafka_links, self.redis_link):
            link.heal()
        for service in (*self.brokers, self.redis):
            service.resume()
            service.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
