"""A real Apache Kafka broker as a child process: broker and controller in one (KRaft).

One of them is a cluster by itself, unless it is given a `Membership`, see `cluster.py`.
"""

import base64
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from .fast_start import fast_start_options
from .jars import class_path
from .java import java_binary
from .ports import HOST, free_ports
from .process import SupervisedProcess
from .security import SaslSsl
from .service import LocalService
from .topics import ClientConfig, create_topics

_FORMAT_SECONDS = 60.0
_RECORD_SECONDS = 120.0
_USE_SECONDS = 10.0

_PROPERTIES = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "INTERNAL",
    # One node: everything is kept once.
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # The internal topics' partitions are made at their first use: few of them, or that takes long.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "4",
    "auto.create.topics.enable": "false",
    # A group's first member need not wait for others, and tests may want a short session.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "200",
    # A broker back after kill -9 must wait until the controller has given up the one before it.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
    "log.segment.bytes": "67108864",
    "log.index.size.max.bytes": "1048576",
}


@dataclass(frozen=True, slots=True)
class Membership:
    """A node's place in a cluster."""

    node: int
    cluster_id: str
    voters: Mapping[int, int]
    """Controller port of every node, this one's included."""

    @classmethod
    def alone(cls) -> "Membership":
        """A cluster of one."""
        return cls(1, new_cluster_id(), {1: free_ports(1)[0]})


class LocalKafka(LocalService):
    """A Kafka broker on 127.0.0.1 with `topics` (name to number of partitions).

    `properties` are broker settings that replace or add to ours. `security` makes the listener for
    clients SASL_SSL; `client_config` returns what a client needs then. `advertised` is the HOST:PORT
    that the broker tells clients to reach it by, where something stands between.

    `jars` is the class path of another version of Kafka than the one that is downloaded.

    The first start on a machine prepares fast ones, which takes some 10 to 30 s; without
    `prepare_fast_starts` it does not.
    """

    name = "kafka"

    def __init__(
        self,
        *,
        topics: Mapping[str, int] | None = None,
        port: int | None = None,
        properties: Mapping[str, str] | None = None,
        heap_megabytes: int = 512,
        security: SaslSsl | None = None,
        advertised: str | None = None,
        membership: Membership | None = None,
        start_seconds: float = 120.0,
        prepare_fast_starts: bool = True,
        jars: str | None = None,
    ) -> None:
        super().__init__(port=port, start_seconds=start_seconds)
        self._prepare_fast_starts = prepare_fast_starts
        self._member = Membership.alone() if membership is None else membership
        self._advertised = self.address if advertised is None else advertised
        self._topics = dict(topics or {})
        self._overrides = dict(properties or {})
        self._heap_megabytes = heap_megabytes
        self._security = security
        self._class_path = jars or ""
        self._start_options: list[str] = []
        (self._internal_port,) = free_ports(1)

    @property
    def node(self) -> int:
        """Its number in the cluster."""
        return self._member.node

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers for clients."""
        return self.address

    @property
    def internal(self) -> str:
        """Bootstrap servers without security, and directly wherever `advertised` leads."""
        return f"{HOST}:{self._internal_port}"

    def client_config(self, user: str | None = None) -> ClientConfig:
        """Return librdkafka settings that reach this broker, as `user` if it has security."""
        config: ClientConfig = {"bootstrap.servers": self.bootstrap}
        if self._security is not None:
            config |= self._security.client_config(self.directory, user)
        return config

    def create_topics(
        self, topics: Mapping[str, int], config: Mapping[str, str] | None = None
    ) -> None:
        """Create topics (name to number of partitions); see `stream_app.local.create_topics`."""
        create_topics(self.internal, topics, config)

    def _prepare(self, process: SupervisedProcess) -> None:
        self._class_path = self._class_path or class_path()
        self._start_options = self._fast_start()
        properties_file = process.directory / "server.properties"
        properties = self._properties(process.directory)
        properties_file.write_text(
            "".join(f"{name}={_escaped(value)}\n" for name, value in properties.items())
        )
        scram = [] if self._security is None else self._security.format_arguments()
        process.spawn(
            self._java(
                process.directory,
                "kafka.tools.StorageTool",
                "format",
                "--cluster-id",
                self._member.cluster_id,
                "--config",
                str(properties_file),
                *scram,
            )
        )
        code = process.wait(_FORMAT_SECONDS)
        if code != 0:
            raise process.failure(f"Formatting Kafka's storage ended with code {code}.")

    def _command(self, directory: Path) -> Sequence[str]:
        return self._java(directory, "kafka.Kafka", str(directory / "server.properties"))

    def _answers(self) -> bool:
        # librdkafka would wait and back off between attempts at a port that nobody listens on yet.
        try:
            socket.create_connection((HOST, self.port), timeout=1.0).close()
        except OSError:
            return False
        try:
            admin = AdminClient({"bootstrap.servers": self.internal, "log_level": 0})
            return self.node in admin.list_topics(timeout=2.0).brokers
        except KafkaException:
            return False

    def _populate(self) -> None:
        self.create_topics(self._topics)
        if self._security is not None:
            self._security.create_acls(self.client_config())

    def _fast_start(self) -> list[str]:
        record = _record_fast_start if self._prepare_fast_starts else None
        return fast_start_options(java_binary(), self._class_path, record)

    def _properties(self, directory: Path) -> dict[str, str]:
        protocol = "PLAINTEXT" if self._security is None else "SASL_SSL"
        listeners = {
            "CLIENTS": self.port,
            "INTERNAL": self._internal_port,
            "CONTROLLER": self._member.voters[self.node],
        }
        addresses = {name: f"{name}://{HOST}:{port}" for name, port in listeners.items()}
        security = {} if self._security is None else self._security.properties(directory)
        return {
            **_PROPERTIES,
            "node.id": str(self.node),
            "listeners": ",".join(addresses.values()),
            "advertised.listeners": f"CLIENTS://{self._advertised},{addresses['INTERNAL']}",
            "listener.security.protocol.map": (
                f"CLIENTS:{protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT"
            ),
            "controller.quorum.voters": ",".join(
                f"{node}@{HOST}:{port}" for node, port in self._member.voters.items()
            ),
            "log.dirs": str(directory / "data"),
            **security,
            **self._overrides,
        }

    def _java(self, directory: Path, main_class: str, *arguments: str) -> list[str]:
        return [
            str(java_binary()),
            f"-Xmx{self._heap_megabytes}m",
            "-XX:+ExitOnOutOfMemoryError",
            # Everything that Java writes goes into our directory, so that it ends with it.
            "-XX:-UsePerfData",
            f"-Djava.io.tmpdir={directory}",
            *self._start_options,
            "--enable-native-access=ALL-UNNAMED",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
            "-cp",
            self._class_path,
            main_class,
            *arguments,
        ]


class _Recorder(LocalKafka):
    """A broker that writes Java's ahead-of-time cache when it ends."""

    def __init__(self, output: Path) -> None:
        super().__init__(topics={"recording": 1})
        self._output = output

    def _fast_start(self) -> list[str]:
        return []

    def _command(self, directory: Path) -> Sequence[str]:
        java, *rest = super()._command(directory)
        return [java, f"-XX:AOTCacheOutput={self._output}", *rest]


def _record_fast_start(output: Path) -> None:
    with _Recorder(output) as broker:
        _use(broker)
        # The cache is written by a second Java process before the first one ends.
        broker.terminate(timeout_seconds=_RECORD_SECONDS)


def _use(broker: LocalKafka) -> None:
    """Do what most clients do, so that the classes for it are loaded."""
    # What it waits for while the broker starts is no line for a person.
    config = {**broker.client_config(), "log_level": 0}
    producer = Producer(config)
    producer.produce("recording", b"")
    producer.flush(_USE_SECONDS)
    consumer = Consumer({**config, "group.id": "recording", "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe(["recording"])
        if consumer.poll(_USE_SECONDS) is not None:
            consumer.commit(asynchronous=False)
    finally:
        consumer.close()


def new_cluster_id() -> str:
    """Return a random UUID as Kafka writes it, not beginning as an option of a command would."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def _escaped(value: str) -> str:
    r"""Return `value` as a Java properties file wants it: \ and line ends are escaped."""
    return value.replace("\\", "\\\\").replace("\n", "\\n")
