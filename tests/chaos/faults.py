"""The faults: what each does, to whom, and how it is healed.

A fault begins, lasts and is healed. Whom it strikes is its `target`: two faults of one target never
overlap, those of different targets do.
"""

import random
import shutil
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports silently
    AdminClient,
    NewPartitions,
)
from redis import Redis

from stream_app.local import LocalKafka
from tests.chaos.crew import Crew, Member
from tests.chaos.grounds import Grounds
from tests.chaos.proxy import Proxy
from tests.chaos.traffic import Traffic
from tests.integration.bed import Bed

__all__ = ["CATALOGUE", "REBUILD", "Fault", "Scene"]

_REQUEST_SECONDS = 10.0
_MOST_PARTITIONS = 8
_SLOWEST_SECONDS = 0.15
_LARGEST_CUT_BYTES = 200_000


@dataclass
class Scene:
    """What faults can reach."""

    grounds: Grounds
    crew: Crew
    bed: Bed
    traffic: Traffic
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def alone_with(self, target: str) -> Iterator[None]:
        """No other fault strikes `target` meanwhile, though an earlier one took longer."""
        with self._mutex:
            lock = self._locks.setdefault(target, threading.Lock())
        with lock:
            yield


@dataclass
class Fault(ABC):
    """One fault of a schedule; times in seconds since the round's faults began."""

    kind: ClassVar[str]
    target: ClassVar[str]
    shortest_seconds: ClassVar[float] = 0.0
    longest_seconds: ClassVar[float] = 0.0
    recovers_seconds: ClassVar[float] = 1.0
    """How long after it another fault of the same target would find nothing to disturb."""
    weight: ClassVar[float] = 1.0
    """How often it is drawn, beside the others."""
    brokers: ClassVar[int] = 1
    """The fewest brokers it makes sense with."""

    at_seconds: float
    lasts_seconds: float
    choice: int
    """A drawn number, for whatever else the fault has to choose."""

    def __str__(self) -> str:
        """As a line of the schedule."""
        return f"{self.at_seconds:5.1f} s  {self.kind} for {self.lasts_seconds:.1f} s"

    @classmethod
    def whom(cls, choice: int, workers: int) -> str:
        """Its target, more exactly."""
        return cls.target

    def strike(self, scene: Scene, over: threading.Event) -> None:
        """Begin, wait (not longer than until `over`), heal."""
        with scene.alone_with(self.whom(self.choice, len(scene.crew.members))):
            try:
                self.begin(scene)
                over.wait(self.lasts_seconds)
            finally:
                self.heal(scene)

    @abstractmethod
    def begin(self, scene: Scene) -> None:
        """Do it."""

    def heal(self, scene: Scene) -> None:  # noqa: B027  some heal by themselves
        """Undo it."""


# Workers.


class _OnWorker(Fault):
    """Strikes one of those at work."""

    target = "worker"
    recovers_seconds = 3.0
    weight = 2.0

    @classmethod
    def whom(cls, choice: int, workers: int) -> str:
        """The worker it strikes."""
        return f"worker {choice % workers}"

    def member(self, scene: Scene) -> Member:
        """Whom it strikes."""
        return scene.crew.members[self.choice % len(scene.crew.members)]

    def strike(self, scene: Scene, over: threading.Event) -> None:
        with self.member(scene).lock:
            super().strike(scene, over)

    def heal(self, scene: Scene) -> None:
        self.member(scene).start()


class WorkerKilled(_OnWorker):
    """kill -9."""

    kind = "worker-killed"
    longest_seconds = 2.0
    weight = 4.0

    def begin(self, scene: Scene) -> None:
        self.member(scene).kill()


class WorkerFrozen(_OnWorker):
    """SIGSTOP for longer than the session lasts: it wakes as a zombie."""

    kind = "worker-frozen"
    shortest_seconds, longest_seconds = 2.5, 5.0
    recovers_seconds = 1.0
    weight = 4.0

    def begin(self, scene: Scene) -> None:
        self.member(scene).freeze()

    def heal(self, scene: Scene) -> None:
        self.member(scene).resume()


class WorkerRestarted(_OnWorker):
    """SIGTERM, and started again at once."""

    kind = "worker-restarted"

    def begin(self, scene: Scene) -> None:
        self.member(scene).stop()


class WorkerLeaves(_OnWorker):
    """SIGTERM, and away for a while."""

    kind = "worker-leaves"
    shortest_seconds, longest_seconds = 1.0, 5.0
    weight = 1.0

    def begin(self, scene: Scene) -> None:
        self.member(scene).stop()


class WorkerJoins(Fault):
    """One more comes and, a while later, goes."""

    kind, target = "worker-joins", "extra worker"
    shortest_seconds, longest_seconds = 5.0, 9.0
    weight = 2.0

    def strike(self, scene: Scene, over: threading.Event) -> None:
        with scene.crew.extra.lock:
            super().strike(scene, over)

    def begin(self, scene: Scene) -> None:
        scene.crew.extra.start()

    def heal(self, scene: Scene) -> None:
        scene.crew.extra.stop()


class AllWorkersKilled(Fault):
    """kill -9 to all at once; a backlog grows until they are back."""

    kind, target = "all-workers-killed", "all workers"
    shortest_seconds, longest_seconds = 0.5, 3.0
    recovers_seconds = 5.0

    def strike(self, scene: Scene, over: threading.Event) -> None:
        with ExitStack() as stack:
            for member in scene.crew.members:
                stack.enter_context(member.lock)
            super().strike(scene, over)

    def begin(self, scene: Scene) -> None:
        for member in scene.crew.members:
            member.kill()

    def heal(self, scene: Scene) -> None:
        for member in scene.crew.members:
            member.start()


# Brokers.


class _OnBroker(Fault):
    """Strikes one broker; one at a time, or two of three would be away."""

    target = "broker"
    recovers_seconds = 3.0

    def broker(self, scene: Scene) -> LocalKafka:
        """Whom it strikes."""
        return scene.grounds.brokers[self.choice % len(scene.grounds.brokers)]

    def heal(self, scene: Scene) -> None:
        self.broker(scene).start()


class BrokerKilled(_OnBroker):
    """kill -9."""

    kind = "broker-killed"
    longest_seconds = 2.0

    def begin(self, scene: Scene) -> None:
        self.broker(scene).kill()


class BrokerRestarted(_OnBroker):
    """Ended in good order and started again."""

    kind = "broker-restarted"

    def begin(self, scene: Scene) -> None:
        self.broker(scene).terminate()


class BrokerFrozen(_OnBroker):
    """SIGSTOP: connections stay open and nothing answers."""

    kind = "broker-frozen"
    shortest_seconds, longest_seconds = 1.0, 4.0

    def begin(self, scene: Scene) -> None:
        self.broker(scene).pause()

    def heal(self, scene: Scene) -> None:
        self.broker(scene).resume()


class LeaderKilled(_OnBroker):
    """kill -9 to the broker that leads the first partition of one of the topics."""

    kind = "leader-killed"
    shortest_seconds, longest_seconds = 0.5, 3.0
    weight = 4.0
    brokers = 3
    _struck: LocalKafka | None = None

    def begin(self, scene: Scene) -> None:
        usecase = scene.bed.usecase
        topics = [*scene.bed.topics, usecase.predictions_topic]
        self._struck = scene.grounds.leader(topics[self.choice % len(topics)])
        self._struck.kill()

    def heal(self, scene: Scene) -> None:
        if self._struck is not None:
            self._struck.start()


# The ways to the brokers and to Redis.


class _OnLink(Fault):
    """Strikes the connections of all workers to one broker, or to Redis."""

    def link(self, scene: Scene) -> Proxy:
        """What it strikes."""
        if self.target == "redis link":
            return scene.grounds.redis_link
        return scene.grounds.kafka_links[self.choice % len(scene.grounds.kafka_links)]

    def heal(self, scene: Scene) -> None:
        self.link(scene).heal()


class _Cut(_OnLink):
    """Connections are reset; new ones are welcome."""

    def begin(self, scene: Scene) -> None:
        self.link(scene).cut()


class _Refused(_OnLink):
    """Connections are reset and new ones refused."""

    shortest_seconds, longest_seconds = 0.5, 3.0

    def begin(self, scene: Scene) -> None:
        self.link(scene).refuse()


class _Slow(_OnLink):
    """Everything takes longer, both ways."""

    shortest_seconds, longest_seconds = 2.0, 5.0

    def begin(self, scene: Scene) -> None:
        self.link(scene).slow(random.Random(self.choice).uniform(0.01, _SLOWEST_SECONDS))


class _Frozen(_OnLink):
    """A black hole: connections stay open and nothing passes."""

    shortest_seconds, longest_seconds = 1.0, 4.0

    def begin(self, scene: Scene) -> None:
        self.link(scene).freeze()


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


# Redis.


class _OnRedis(Fault):
    """Strikes the server."""

    target = "redis"

    def heal(self, scene: Scene) -> None:
        scene.grounds.redis.start()


class RedisKilled(_OnRedis):
    """kill -9; what was acknowledged is in its append-only file."""

    kind = "redis-killed"
    longest_seconds = 2.0
    weight = 2.0

    def begin(self, scene: Scene) -> None:
        scene.grounds.redis.kill()


class RedisRestarted(_OnRedis):
    """Ended in good order and started again."""

    kind = "redis-restarted"

    def begin(self, scene: Scene) -> None:
        scene.grounds.redis.terminate()


class RedisFrozen(_OnRedis):
    """SIGSTOP: it takes connections and answers nothing."""

    kind = "redis-frozen"
    shortest_seconds, longest_seconds = 1.0, 4.0

    def begin(self, scene: Scene) -> None:
        scene.grounds.redis.pause()

    def heal(self, scene: Scene) -> None:
        scene.grounds.redis.resume()


class RedisFlushed(_OnRedis):
    """FLUSHALL: everything that was acknowledged is gone."""

    kind = "redis-flushed"

    def begin(self, scene: Scene) -> None:
        with Redis.from_url(scene.grounds.redis.url) as client:
            client.flushall()

    def heal(self, scene: Scene) -> None:
        """What is lost is lost."""


class RedisCutShort(_OnRedis):
    """kill -9, and the end of the append-only file is lost."""

    kind = "redis-cut-short"
    longest_seconds = 1.0

    def begin(self, scene: Scene) -> None:
        redis = scene.grounds.redis
        redis.kill()
        newest = max(_append_only(redis.directory).glob("*.incr.aof"), key=_number)
        size = newest.stat().st_size
        cut = min(size, random.Random(self.choice).randrange(1, _LARGEST_CUT_BYTES))
        with newest.open("rb+") as file:
            file.truncate(size - cut)


class RedisRolledBack(_OnRedis):
    """A replica that lagged takes over: the last seconds are lost, as a whole."""

    kind = "redis-rolled-back"
    shortest_seconds, longest_seconds = 0.5, 3.0

    def begin(self, scene: Scene) -> None:
        redis = scene.grounds.redis
        folder = _append_only(redis.directory)
        copy = redis.directory / "earlier"
        shutil.rmtree(copy, ignore_errors=True)
        # Frozen, so that the copy is of one moment.
        redis.pause()
        try:
            shutil.copytree(folder, copy)
        finally:
            redis.resume()

    def heal(self, scene: Scene) -> None:
        redis = scene.grounds.redis
        folder = _append_only(redis.directory)
        redis.kill()
        shutil.rmtree(folder)
        (redis.directory / "earlier").rename(folder)
        redis.start()


def _append_only(directory: Path) -> Path:
    return directory / "appendonlydir"


def _number(file: Path) -> int:
    """`appendonly.aof.3.incr.aof` is the third."""
    return int(file.name.split(".")[2])


# Topics and traffic.


class PartitionsAdded(Fault):
    """An event topic has more partitions from now on, and keys move between them."""

    kind, target = "partitions-added", "partitions"
    recovers_seconds = 4.0

    def begin(self, scene: Scene) -> None:
        admin = AdminClient({"bootstrap.servers": scene.grounds.internal, "log_level": 0})
        topic = scene.bed.topics[self.choice % len(scene.bed.topics)]
        deadline = time.monotonic() + 60.0
        while True:
            try:
                known = admin.list_topics(topic, timeout=_REQUEST_SECONDS).topics[topic]
                count = len(known.partitions) + 1
                if 1 < count <= _MOST_PARTITIONS:
                    wanted = [NewPartitions(topic, count)]
                    asked = admin.create_partitions(wanted, request_timeout=_REQUEST_SECONDS)
                    asked[topic].result()
            except Exception:  # a broker may be away, by another fault
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return


class Burst(Fault):
    """A few thousand records at once."""

    kind, target = "burst", "traffic"

    def begin(self, scene: Scene) -> None:
        scene.traffic.burst(1_000 + self.choice % 2_000)


_ALL: tuple[type[Fault], ...] = (
    WorkerKilled, WorkerFrozen, WorkerRestarted, WorkerLeaves, WorkerJoins, AllWorkersKilled,
    BrokerKilled, BrokerRestarted, BrokerFrozen, LeaderKilled,
    KafkaCut, KafkaRefused, KafkaSlow, KafkaBlackHole,
    RedisKilled, RedisRestarted, RedisFrozen,
    RedisCut, RedisRefused, RedisSlow, RedisBlackHole,
    RedisFlushed, RedisCutShort, RedisRolledBack,
    PartitionsAdded, Burst,
)  # fmt: skip

#: Every fault by its kind.
CATALOGUE: dict[str, type[Fault]] = {fault.kind: fault for fault in _ALL}

#: Faults after which Redis lacks what it acknowledged, so that the state has to be built again.
REBUILD = frozenset({"redis-flushed", "redis-cut-short", "redis-rolled-back"})
