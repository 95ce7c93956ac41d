"""Three real Kafka brokers as child processes: everything is kept three times."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Self

from confluent_kafka.admin import AdminClient

from .errors import LocalServiceError
from .kafka import LocalKafka, Membership, new_cluster_id
from .ports import HOST, free_ports
from .topics import create_topics

_REQUEST_SECONDS = 10.0
_NODES = 3

# A record is acknowledged once two of three nodes have it: one may be lost at any time.
_PROPERTIES = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    # A replica that is gone holds acknowledgements up for this long.
    "replica.lag.time.max.ms": "5000",
}


class LocalKafkaCluster:
    """Three nodes on 127.0.0.1, each broker and controller, that can be killed one by one.

    A context manager; `nodes` are ordinary `LocalKafka`s, to be killed, restarted and frozen.
    `advertised` holds, for each node, the HOST:PORT that it tells clients to reach it by.
    """

    def __init__(
        self,
        *,
        ports: Sequence[int] | None = None,
        advertised: Sequence[str] | None = None,
        properties: Mapping[str, str] | None = None,
        heap_megabytes: int = 320,
    ) -> None:
        ids = range(1, _NODES + 1)
        found = free_ports(2 * _NODES)
        ports = found[_NODES:] if ports is None else ports
        advertised = [f"{HOST}:{port}" for port in ports] if advertised is None else advertised
        cluster_id = new_cluster_id()
        voters = dict(zip(ids, found, strict=False))
        self.nodes = tuple(
            LocalKafka(
                port=port,
                advertised=told,
                properties={**_PROPERTIES, **(properties or {})},
                heap_megabytes=heap_megabytes,
                membership=Membership(node, cluster_id, voters),
            )
            for node, port, told in zip(ids, ports, advertised, strict=True)
        )
        self._stack = ExitStack()

    @property
    def bootstrap(self) -> str:
        """Bootstrap servers for clients, as the nodes are, not as they are advertised."""
        return ",".join(node.bootstrap for node in self.nodes)

    @property
    def internal(self) -> str:
        """Bootstrap servers of the nodes themselves, directly wherever `advertised` leads."""
        return ",".join(node.internal for node in self.nodes)

    def create_topics(
        self, topics: Mapping[str, int], config: Mapping[str, str] | None = None
    ) -> None:
        """Create topics (name to number of partitions); see `stream_app.local.create_topics`."""
        create_topics(self.internal, topics, config)

    def leader(self, topic: str, partition: int = 0) -> LocalKafka:
        """Return the node that leads a partition now."""
        admin = AdminClient({"bootstrap.servers": self.internal, "log_level": 0})
        described = admin.list_topics(topic, timeout=_REQUEST_SECONDS).topics[topic]
        leading = described.partitions[partition].leader if described.partitions else None
        for node in self.nodes:
            if node.node == leading:
                return node
        raise LocalServiceError(f"No node leads {topic}[{partition}] now.")

    def start(self) -> None:
        """Start all nodes and return when each answers."""
        with ExitStack() as stack:
            for node in self.nodes:
                stack.callback(node.stop)
            # Together: a node alone is no majority of the controllers, and would wait for ever.
            with ThreadPoolExecutor(len(self.nodes)) as pool:
                for started in [pool.submit(node.start) for node in self.nodes]:
                    started.result()
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """End all nodes and remove their directories."""
        self._stack.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
