"""States in Redis (or Valkey): one key a view and entity, read by MGET, written by compare-and-set.

`keys` has the names of the keys, `nodes` the way to them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from redis import Redis
from redis.cluster import RedisCluster

from stream_app.features.stores.codec import version_bytes
from stream_app.features.stores.contract import (
    Progress,
    Source,
    StateWrite,
    cluster_of,
)
from stream_app.features.stores.redis.access import ACCESS, check_access, warn_of_eviction
from stream_app.features.stores.redis.cluster import ClusterNodes
from stream_app.features.stores.redis.errors import in_form, understood
from stream_app.features.stores.redis.keys import Keys
from stream_app.features.stores.redis.nodes import (
    KEYS_A_SCAN,
    Command,
    Nodes,
    OneNode,
    Script,
    pairs_of,
)
from stream_app.features.stores.redis.registry import REGISTER, adopt_cluster, register
from stream_app.features.stores.redis.servers import Server, servers
from stream_app.features.views import FeatureSet

__all__ = ["RedisStore"]

_KEYS_A_READ: Final = 8_192


_COMPARE_AND_SET: Final = Script.named("compare_and_set")
_POINT: Final = Script.named("point")
_SCRIPTS: Final = (_COMPARE_AND_SET, REGISTER, _POINT, ACCESS)


class RedisStore:
    """A `Store` in Redis; a client of redis-py is handed in, see `clients`."""

    def __init__(
        self,
        client: Redis | RedisCluster | Callable[[], RedisCluster],
        features: FeatureSet,
        application: str,
        *,
        buckets: int = 1,
        expiry_seconds: Mapping[str, int] | Callable[[], Mapping[str, int]] | None = None,
        on_warning: Callable[[str], None] | None = None,
    ) -> None:
        """`expiry_seconds` by view name: when Redis may collect a state as garbage.

        A function is asked whenever the store is opened. `on_warning` is told, once, what about the
        servers puts states at risk.
        """
        self._features = features
        self._application = application
        self._buckets = buckets
        self._nodes = self._nodes_of(client)
        self._owns_nodes = True
        self._expiry_seconds = expiry_seconds or {}
        self._expiry: list[int] = []
        self._on_warning = on_warning
        self._names: dict[int, str] = {}
        self._adopted = ""
        """The cluster whose the generation after this one is."""
        self._opened: tuple[Keys, int] | None = None

    def _nodes_of(self, client: Redis | RedisCluster | Callable[[], RedisCluster]) -> Nodes:
        if isinstance(client, Redis):
            return OneNode(client, _SCRIPTS)
        tags = self._keys_of(0).tags
        return ClusterNodes(
            (lambda: client) if isinstance(client, RedisCluster) else client, _SCRIPTS, tags
        )

    def _keys_of(self, generation: int) -> Keys:
        return Keys(self._application, self._features.views, self._buckets, generation)

    def _open(self) -> tuple[Keys, int]:
        """The keys in use, and which generation has to be the current one."""
        # Both in one tuple: another thread may reopen the store meanwhile.
        return self._opened or self._reopened()

    def _reopened(self) -> tuple[Keys, int]:
        keys = self._keys_of(0)
        present = self._current(keys)
        generation = max(present)
        # A node may have lost it, or whoever switched over died in between.
        self._nodes.round_trip(
            [
                (bucket, _POINT([keys.current[bucket]], generation, ""))
                for bucket, found in enumerate(present)
                if found < generation
            ]
        )
        expiry = self._expiry_seconds() if callable(self._expiry_seconds) else self._expiry_seconds
        self._expiry = [expiry.get(view.name, 0) for view in self._features.views]
        if self._on_warning is not None:
            warn_of_eviction(self._nodes, self._buckets, self._on_warning)
            self._on_warning = None
        self._opened = self._keys_of(generation), generation
        return self._opened

    def _current(self, keys: Keys) -> list[int]:
        """The current generation as each bucket has it."""
        gets: list[tuple[int, Command]] = [(b, ("GET", key)) for b, key in enumerate(keys.current)]
        replies = self._nodes.round_trip(gets)
        with understood():
            return [int(reply or 0) for reply in replies]

    def check_access(self) -> None:
        """Reach every bucket, and try every command that states need; nothing is changed."""
        with in_form():
            check_access(self._nodes, self._keys_of(0))

    def servers(self) -> list[Server]:
        """What each of the servers says of itself; nothing is changed."""
        with in_form():
            return servers(self._nodes, self._buckets)

    @property
    def generation(self) -> int:
        """Number of this store's generation."""
        return self._open()[0].generation

    def register(self, sources: Sequence[Source], *, adopt: bool = False) -> list[int]:
        """Give each source its small integer, and check the number of buckets and the cluster."""
        cluster = cluster_of(sources)
        if adopt:
            self._adopted, cluster = cluster, ""
        names = [str(source) for source in sources]
        with understood():
            ids = register(self._nodes, self._keys_of(0), cluster, names)
            self._names.update(zip(ids, names, strict=True))
        return ids

    def read(
        self, wanted: Sequence[Collection[str]], progress: Sequence[Progress] = ()
    ) -> list[list[tuple[str, bytes]]]:
        """For each view, the pairs that exist among the wanted ones; one round trip a node."""
        keys, current = self._open()
        places: list[list[tuple[int, str]]] = [[] for _ in range(self._buckets)]
        names: list[list[str]] = [[] for _ in range(self._buckets)]
        for view, entities in enumerate(wanted):
            if self._buckets == 1:
                prefix = keys.states[0][view]
                names[0] += [prefix + entity for entity in entities]
                places[0] += [(view, entity) for entity in entities]
                continue
            for entity in entities:
                bucket = keys.bucket(entity)
                names[bucket].append(keys.states[bucket][view] + entity)
                places[bucket].append((view, entity))
        commands: list[tuple[int, Command]] = [
            (bucket, ("MGET", *group[start : start + _KEYS_A_READ]))
            for bucket, group in enumerate(names)
            for start in range(0, len(group), _KEYS_A_READ)
        ]
        reads = len(commands)
        if progress:
            # After the reads: what is lost before a check was perhaps not read.
            check = self._marks_arguments(progress, keys.names[:1], note=False)
            commands += [
                (bucket, self._compare_and_set(keys, bucket, current, check, {}))
                for bucket in range(self._buckets)
            ]
        replies = self._nodes.round_trip(commands)
        values = [value for reply in replies[:reads] for value in reply]
        found: list[list[tuple[str, bytes]]] = [[] for _ in wanted]
        for (view, entity), value in zip(
            (place for bucket in places for place in bucket), values, strict=True
        ):
            if value is not None:
                found[view].append((entity, value))
        return found

    def write(
        self, writes: Sequence[StateWrite], progress: Sequence[Progress]
    ) -> list[tuple[StateWrite, bytes | None]]:
        """Compare and set, then note the progress; one script call a bucket."""
        keys, current = self._open()
        groups: list[dict[int, list[StateWrite]]] = [{} for _ in range(self._buckets)]
        if self._buckets == 1 and not any(self._expiry):
            groups[0] = {0: list(writes)} if writes else {}
        else:
            for write in writes:
                group = groups[keys.bucket(write.entity)]
                group.setdefault(self._expiry[write.view], []).append(write)
        marks = self._marks_arguments(progress, keys.names, note=True)
        calls = [b for b, group in enumerate(groups) if group or progress]
        replies = self._nodes.round_trip(
            [(b, self._compare_and_set(keys, b, current, marks, groups[b])) for b in calls]
        )
        lost: list[tuple[StateWrite, bytes | None]] = []
        for bucket, reply in zip(calls, replies, strict=True):
            if reply:
                written = [write for group in groups[bucket].values() for write in group]
                for index, present in zip(reply[::2], reply[1::2], strict=True):
                    lost.append((written[index - 1], present))
        return lost

    def _marks_arguments(
        self, progress: Sequence[Progress], names: Sequence[str], *, note: bool
    ) -> tuple[int, int, list[str | int]]:
        """Numbers of sources and views, and the script's arguments about them."""
        return (
            len(progress),
            len(names),
            [
                *[each.source for each in progress],
                *[each.expected for each in progress],
                *[each.through if note else -1 for each in progress],
                *[self._names.get(each.source, "") for each in progress],
                *[f"{name}:" for name in names],
            ],
        )

    def _compare_and_set(
        self,
        keys: Keys,
        bucket: int,
        current: int,
        marks: tuple[int, int, list[str | int]],
        groups: Mapping[int, Sequence[StateWrite]],
    ) -> Command:
        sources, views, arguments = marks
        prefixes = keys.states[bucket]
        writes = [write for group in groups.values() for write in group]
        sizes = [part for expiry, group in groups.items() for part in (len(group), expiry)]
        return _COMPARE_AND_SET(
            [
                keys.current[bucket],
                keys.marks[bucket],
                keys.sources[bucket],
                *[prefixes[view] + entity for view, entity, _, _ in writes],
            ],
            current,
            sources,
            views,
            len(groups),
            *arguments,
            *sizes,
            *version_bytes([expected for _, _, expected, _ in writes]),
            *[packed for _, _, _, packed in writes],
        )

    def marks(self) -> list[dict[int, int]]:
        """For each view, the lowest offset any bucket has each source applied through."""
        keys, _ = self._open()
        buckets: list[list[dict[int, int]]] = []
        for reply in self._nodes.round_trip(
            [(bucket, ("HGETALL", key)) for bucket, key in enumerate(keys.marks)]
        ):
            found: dict[str, dict[int, int]] = {name: {} for name in keys.names}
            with understood():
                for field, offset in pairs_of(reply):
                    name, _, source = field.decode().rpartition(":")
                    if name in found:
                        found[name][int(source)] = int(offset)
            buckets.append(list(found.values()))
        first, *others = buckets
        return [
            {
                source: min(marks[view][source] for marks in buckets)
                for source in set(first[view]).intersection(*(marks[view] for marks in others))
            }
            for view in range(len(keys.names))
        ]

    def reopen(self) -> None:
        """Turn to the generation that is the current one now."""
        self._reopened()

    def successor(self) -> RedisStore:
        """The generation after this one, emptied."""
        keys, _ = self._open()
        successor = copy.copy(self)
        successor._owns_nodes = False
        successor._opened = self._keys_of(keys.generation + 1), keys.generation
        successor.drop()
        return successor

    def activate(self) -> None:
        """Make this generation the current one."""
        keys, current = self._open()
        # Bucket after bucket would be as good: what is behind is told by `reopen`.
        self._nodes.round_trip(
            [
                (bucket, _POINT([key], keys.generation, current))
                for bucket, key in enumerate(keys.current)
            ]
        )
        if self._adopted:
            adopt_cluster(self._nodes, keys, self._adopted)
        self._opened = keys, keys.generation

    def drop(self) -> None:
        """Delete this generation's states and marks: SCAN and UNLINK, without blocking Redis."""
        keys, _ = self._open()
        if keys.generation == max(self._current(keys)):
            raise ValueError(f"generation {keys.generation} of the state is the current one")
        doomed: list[list[bytes]] = [[] for _ in range(self._buckets)]
        for key in self._nodes.scan(keys.pattern):
            bucket = keys.owner(key)
            if bucket is None:
                continue
            doomed[bucket].append(key)
            if len(doomed[bucket]) == KEYS_A_SCAN:
                self._nodes.round_trip([(bucket, ("UNLINK", *doomed[bucket]))])
                doomed[bucket] = []
        self._nodes.round_trip([(b, ("UNLINK", *group)) for b, group in enumerate(doomed) if group])

    def close(self) -> None:
        """Close the connections, unless they are another store's."""
        if self._owns_nodes:
            self._nodes.close()
