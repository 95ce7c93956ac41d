"""Clients of redis-py from a URL: one server, or a cluster.

    redis://[user:password@]host:port/db          one server
    rediss://...                                  the same over TLS
    unix:///path
    redis+cluster://[user:password@]host:port,host:port
    rediss+cluster://...

Of a cluster some nodes are named, of which one must answer; it names the others. Options for
redis-py may follow a question mark: see `options`.

RESP2 is spoken, which every server and proxy understands: nothing here needs RESP3, and the HELLO
that asks for it is unknown to some. A connection that a firewall dropped in silence is noticed by
the timeout of the next command; keepalive keeps it from being dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from redis import Redis
from redis.cluster import ClusterNode, RedisCluster

from stream_app.features.stores.redis.options import check_options

__all__ = ["Client", "client_of", "default_buckets"]

#: A client; of a cluster the function that makes it, since making it connects.
Client = Redis | Callable[[], RedisCluster]

_CLUSTER: Final = "+cluster://"
_PORT: Final = 6379
_RESP2: Final = 2


def default_buckets(url: str) -> int:
    """How many buckets suit the server or cluster that a URL names.

    One server gains nothing from a second one. A cluster gives each bucket's slot to one node, so
    that there have to be several buckets a node for an even load; and a batch costs one call a
    bucket, so that there should not be many more.
    """
    return 16 if _CLUSTER in url else 1


def client_of(url: str, *, timeout_seconds: float | None = None) -> Client:
    """A client that connects when it is used; `timeout_seconds` for a command and a connect.

    Raises `ValueError` for options in the URL that states cannot be kept with.
    """
    check_options(url)
    if _CLUSTER not in url:
        keepalive = {} if url.startswith("unix:") else {"socket_keepalive": True}
        return Redis.from_url(
            url,
            protocol=_RESP2,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            **keepalive,
        )
    scheme, _, rest = url.partition(_CLUSTER)
    places, mark, options = rest.partition("?")
    user, at, hosts = places.rstrip("/").rpartition("@")
    first, *others = hosts.split(",")
    return partial(
        RedisCluster,
        url=f"{scheme}://{user}{at}{first}{mark}{options}",
        startup_nodes=[_node(place) for place in others],
        require_full_coverage=False,
        protocol=_RESP2,
        socket_keepalive=True,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
    )


def _node(place: str) -> ClusterNode:
    host, colon, port = place.rpartition(":")
    if not colon or "]" in port:
        host, port = place, str(_PORT)
    return ClusterNode(host.strip("[]"), int(port))  # type: ignore[no-untyped-call]
