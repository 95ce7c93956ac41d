"""A Redis Cluster: which node has which bucket is redis-py's knowledge, kept fresh from here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from redis.cluster import RedisCluster
from redis.crc import key_slot
from redis.exceptions import AskError, MovedError

from stream_app.features.stores.redis.errors import in_the_contract
from stream_app.features.stores.redis.nodes import KEYS_A_SCAN, Nodes, Script

__all__ = ["ClusterNodes"]


class ClusterNodes(Nodes):
    """The primaries of a cluster.

    redis-py asks a cluster's client for its topology when it is made; so it is made when it is
    first needed, and asked again after a node was away.
    """

    def __init__(
        self, connect: Callable[[], RedisCluster], scripts: Sequence[Script], tags: Sequence[str]
    ) -> None:
        """`tags`: the hash tag of each bucket."""
        super().__init__(scripts)
        self._connect = connect
        self._slots = [key_slot(tag.encode()) for tag in tags]
        self._client: RedisCluster | None = None
        self._doubtful = False
        self._lock = threading.Lock()

    def _connected(self) -> RedisCluster:
        if self._client is not None and not self._doubtful:
            return self._client
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            elif self._doubtful:
                self._client.nodes_manager.initialize()
            self._doubtful = False
            return self._client

    def _pool(self, bucket: int) -> Any:
        client = self._connected()
        node = client.nodes_manager.get_node_from_slot(self._slots[bucket])
        return client.get_redis_connection(node).connection_pool

    def _pool_of(self, redirection: AskError) -> Any:
        client: Any = self._connected()
        node = client.get_node(redirection.host, redirection.port)
        if node is None:  # it joined the cluster after we last asked
            raise redirection
        return client.get_redis_connection(node).connection_pool

    def _follow(self, redirection: MovedError) -> None:
        self._connected().nodes_manager.move_slot(redirection)

    def _doubt(self) -> None:
        self._doubtful = True

    def scan(self, pattern: str) -> Iterator[bytes]:
        """Keys of all primaries that match the pattern."""
        with in_the_contract(self._doubt):
            yield from self._connected().scan_iter(match=pattern, count=KEYS_A_SCAN)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
