"""The numbers of sources: given in bucket 0, and kept in every bucket.

A node that comes back empty is told again by the others, before anyone uses a number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stream_app.features.stores.redis.keys import Keys
from stream_app.features.stores.redis.nodes import Command, Nodes, Script

__all__ = ["REGISTER", "adopt_cluster", "register"]

REGISTER: Final = Script.named("register")

_CLUSTER: Final = "/"
"""Field of the sources that says which cluster they are of; see register.lua."""


def register(nodes: Nodes, keys: Keys, cluster: str, names: Sequence[str]) -> list[int]:
    """Give each source its number; check the number of buckets and, unless it is "", the cluster."""
    highest, known = _copied(nodes, keys, names)
    ids = _register_in(nodes, keys, 0, cluster, highest, names, known)
    # Before anyone uses the numbers, every bucket has them.
    highest = max([highest, *ids])
    for bucket in range(1, keys.buckets):
        _register_in(nodes, keys, bucket, cluster, highest, names, ids)
    return ids


def adopt_cluster(nodes: Nodes, keys: Keys, cluster: str) -> None:
    """From now on the sources are of this cluster."""
    nodes.round_trip(
        [(bucket, ("HSET", key, _CLUSTER, cluster)) for bucket, key in enumerate(keys.sources)]
    )


def _copied(nodes: Nodes, keys: Keys, names: Sequence[str]) -> tuple[int, list[str | int]]:
    """The highest number given, and the sources' numbers, as buckets above 0 know them."""
    highest = 0
    known: list[str | int] = [""] * len(names)
    asked: list[tuple[int, Command]] = [
        (bucket, ("HMGET", keys.sources[bucket], "", *names)) for bucket in range(1, keys.buckets)
    ]
    for most, *ids in nodes.round_trip(asked):
        highest = max(highest, int(most or 0))
        known = [
            before if id_ is None else int(id_) for before, id_ in zip(known, ids, strict=True)
        ]
    return highest, known


def _register_in(
    nodes: Nodes,
    keys: Keys,
    bucket: int,
    cluster: str,
    highest: int,
    names: Sequence[str],
    known: Sequence[str | int],
) -> list[int]:
    pairs = [part for pair in zip(names, known, strict=True) for part in pair]
    where = [keys.sources[bucket], keys.sizes[bucket]]
    call = REGISTER(where, keys.buckets, highest, cluster, *pairs)
    return [int(i) for i in nodes.round_trip([(bucket, call)])[0]]
