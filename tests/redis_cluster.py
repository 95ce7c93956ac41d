"""A real Redis Cluster: a few servers of Valkey (or Redis) as child processes."""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import RedisError
from redis.retry import Retry

from stream_app.local import LocalRedis
from stream_app.local.errors import LocalServiceError
from stream_app.local.ports import HOST, free_ports

__all__ = ["LocalRedisCluster"]

_SLOTS = 16_384
_POLL_SECONDS = 0.02


class LocalRedisCluster:
    """`primaries` servers that share the slots in equal parts, each with its `replicas`.

    `nodes` are the servers, primaries first; then the replicas of the first primary, and so on. Each
    can be killed, paused and started again on its own.
    """

    def __init__(
        self,
        *,
        primaries: int = 3,
        replicas: int = 0,
        node_timeout_seconds: float = 1.0,
        settings: Mapping[str, str] | None = None,
        start_seconds: float = 20.0,
    ) -> None:
        """`node_timeout_seconds`: how long a node may be silent before it is failed over."""
        count = primaries * (1 + replicas)
        ports = free_ports(2 * count)
        self._primaries = primaries
        self._replicas = replicas
        self._start_seconds = start_seconds
        self._buses = ports[count:]
        self.nodes = [
            LocalRedis(
                port=port,
                settings={
                    "cluster-enabled": "yes",
                    "cluster-config-file": "nodes.conf",
                    "cluster-node-timeout": f"{node_timeout_seconds * 1_000:.0f}",
                    "cluster-port": str(bus),
                    "repl-diskless-sync-delay": "0",
                    **(settings or {}),
                },
            )
            for port, bus in zip(ports[:count], self._buses, strict=True)
        ]
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        """The address of all nodes, as `redis_url` takes it."""
        return "redis+cluster://" + ",".join(node.address for node in self.nodes)

    def client(self, node: LocalRedis) -> Redis:
        """A client of one node, which follows no redirection."""
        return Redis(host=HOST, port=node.port, socket_timeout=5.0, retry=Retry(NoBackoff(), 0))

    def ask(self, node: LocalRedis, *command: str | int) -> Any:
        """What one node answers."""
        with self.client(node) as client:
            return client.execute_command(*command)

    def start(self) -> None:
        """Start all nodes, join them, and return when each of them sees the whole cluster."""
        with ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(node)
            first, *others = self.nodes
            for number, node in enumerate(self.nodes[: self._primaries]):
                low, high = (_SLOTS * n // self._primaries for n in (number, number + 1))
                self.ask(node, "CLUSTER", "ADDSLOTSRANGE", low, high - 1)
            for number, node in enumerate(self.nodes):
                self.ask(node, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            for node, bus in zip(others, self._buses[1:], strict=True):
                self.ask(first, "CLUSTER", "MEET", HOST, node.port, bus)
            self.wait(lambda: all(self._known(n) == len(self.nodes) for n in self.nodes))
            for number, replica in enumerate(self.nodes[self._primaries :]):
                primary = self.nodes[number // self._replicas]
                self.ask(replica, "CLUSTER", "REPLICATE", self.id(primary))
            self.wait(self.healthy)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """End all nodes and remove their directories."""
        self._stack.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def id(self, node: LocalRedis) -> str:
        """The name the cluster has for a node."""
        return str(self.ask(node, "CLUSTER", "MYID").decode())

    def healthy(self) -> bool:
        """Whether every node sees all slots served and has its replicas in step."""
        try:
            return all(
                b"cluster_state:ok" in self.ask(node, "CLUSTER", "INFO")
                and self._shards(node) == self._primaries
                and self._in_step(node)
                for node in self.nodes
            )
        except RedisError:
            return False

    def owner(self, key: str) -> LocalRedis:
        """The primary that serves a key now, as most of the nodes that answer see it."""
        slot = key_slot(key.encode())
        seen: list[int] = []
        for node in self.nodes:
            try:
                ranges = self.ask(node, "CLUSTER", "SLOTS")
            except RedisError:
                continue
            seen += [int(each[2][1]) for each in ranges if each[0] <= slot <= each[1]]
        port = max(set(seen), key=seen.count)
        return next(node for node in self.nodes if node.port == port)

    def begin_move(self, key: str, to: LocalRedis) -> None:
        """Open the slot of a key for moving: absent keys are asked for at `to`."""
        slot, source = key_slot(key.encode()), self.owner(key)
        self.ask(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", self.id(source))
        self.ask(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", self.id(to))

    def finish_move(self, key: str, to: LocalRedis) -> None:
        """Carry the keys of a slot that was opened for moving over to `to`, and close it."""
        slot, source = key_slot(key.encode()), self.owner(key)
        while keys := self.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 1_000):
            self.ask(source, "MIGRATE", HOST, to.port, "", 0, 5_000, "KEYS", *keys)
        for node in (to, source):
            self.ask(node, "CLUSTER", "SETSLOT", slot, "NODE", self.id(to))

    def flush(self) -> None:
        """Delete everything, on every primary."""
        for node in self.nodes:
            if self._role(node) == b"master":
                self.ask(node, "FLUSHALL")

    def wait(self, reached: Callable[[], bool]) -> None:
        """Return as soon as something holds; raises `LocalServiceError` if it takes too long."""
        deadline = time.monotonic() + self._start_seconds
        while not reached():
            if time.monotonic() > deadline:
                raise LocalServiceError(
                    f"The Redis Cluster was not ready within {self._start_seconds:g} s."
                )
            time.sleep(_POLL_SECONDS)

    def _known(self, node: LocalRedis) -> int:
        lines = self.ask(node, "CLUSTER", "NODES")
        text = lines.decode() if isinstance(lines, bytes) else str(lines)
        return sum("handshake" not in line for line in text.splitlines() if line)

    def _shards(self, node: LocalRedis) -> int:
        return len({bytes(each[2][2]) for each in self.ask(node, "CLUSTER", "SLOTS")})

    def _role(self, node: LocalRedis) -> bytes:
        return bytes(self.ask(node, "ROLE")[0])

    def _in_step(self, node: LocalRedis) -> bool:
        role = self.ask(node, "ROLE")
        if role[0] == b"slave":
            return bool(role[3] == b"connected")
        return not self._replicas or len(role[2]) >= 1
