"""Kafka and Redis together, as the demo and the command line want them."""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Self

from .errors import LocalServiceError
from .kafka import LocalKafka
from .redis import LocalRedis

# Events of the past would be deleted within minutes: brokers look at the timestamps of records.
_KEEP_EVERYTHING = {"log.retention.ms": "-1"}


class LocalServices:
    """A real Kafka with `topics` (name to number of partitions) and a real Redis.

    The topics keep their records as long as they run, however old the timestamps are.
    A context manager: on leaving it, both are ended and their directories are removed.
    """

    def __init__(
        self,
        topics: Mapping[str, int] | None = None,
        *,
        kafka: bool = True,
        redis: bool = True,
        kafka_port: int | None = None,
        redis_port: int | None = None,
    ) -> None:
        self.local_kafka = (
            LocalKafka(
                topics=topics,
                port=kafka_port,
                properties=_KEEP_EVERYTHING,
                # Worth it for tests, which start many brokers: a person waits for one.
                prepare_fast_starts=False,
            )
            if kafka
            else None
        )
        self.local_redis = LocalRedis(port=redis_port) if redis else None
        self._stack = ExitStack()

    @property
    def kafka(self) -> str:
        """Bootstrap servers."""
        if self.local_kafka is None:
            raise LocalServiceError("There is no Kafka: LocalServices was made with kafka=False.")
        return self.local_kafka.bootstrap

    @property
    def redis(self) -> str:
        """URL of the Redis database."""
        if self.local_redis is None:
            raise LocalServiceError("There is no Redis: LocalServices was made with redis=False.")
        return self.local_redis.url

    def start(self) -> None:
        """Start what was asked for; if one cannot start, neither is left running."""
        with ExitStack() as stack:
            for service in (self.local_redis, self.local_kafka):
                if service is not None:
                    stack.enter_context(service)
            self._stack = stack.pop_all()

    def check(self) -> None:
        """Raise an error with the end of its log if one of the two has ended on its own."""
        for service in (self.local_redis, self.local_kafka):
            if service is not None:
                service.check()

    def stop(self) -> None:
        """End both and remove their directories."""
        self._stack.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
