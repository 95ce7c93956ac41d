"""States in Redis (or Valkey): one key a view and entity, read by MGET, written by compare-and-set.

Keys, for application A and bucket B (always 0 unless `buckets` spreads a cluster's slots):

    {A:B}:<layout>:<view>:<entity>    packed state
    {A:B}:marks:<layout>:<view>       hash: source -> offset applied through
    {A:0}:sources                     hash: cluster/topic/partition -> source

The braces are Redis Cluster's hash tag: all keys of a bucket share a slot, so one MGET and one
script call a bucket are enough.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.resources import files
from typing import Any, TypeVar

from redis.exceptions import (
    BusyLoadingError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from features.codec import layout_of, version_bytes
from features.stores.contract import Source, StateWrite, StoreUnavailableError
from features.views import FeatureSet

__all__ = ["RedisStore"]

# Lua's unpack is bounded by its C stack (LUAI_MAXCSTACK, 8000 values), and MSET takes two a key.
_KEYS_A_SCRIPT = 2_000
_KEYS_A_READ = 8_192

_AWAY = (
    RedisConnectionError,
    RedisTimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    OutOfMemoryError,
)
_AWAY_CODES = ("MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MISCONF", "NOREPLICAS", "UNBLOCKED")

_T = TypeVar("_T")

_REGISTER = """
local ids = {}
for i, name in ipairs(ARGV) do
  local id = redis.call('HGET', KEYS[1], name)
  if not id then
    id = redis.call('HINCRBY', KEYS[1], '', 1)
    redis.call('HSET', KEYS[1], name, id)
  end
  ids[i] = tonumber(id)
end
return ids
"""


class RedisStore:
    """A `Store` in Redis; a client of redis-py, standalone or cluster, is handed in."""

    def __init__(
        self,
        client: Any,
        features: FeatureSet,
        application: str,
        *,
        buckets: int = 1,
        expiry_seconds: Mapping[str, int] | None = None,
    ) -> None:
        """`expiry_seconds` by view name: when Redis may collect a state as garbage."""
        self._client = client
        self._buckets = buckets
        self._application = application
        self._views = features.views
        expiries = expiry_seconds or {}
        self._expiry = [expiries.get(view.name, 0) for view in features.views]
        names = [f"{layout_of(view)}:{view.name}" for view in features.views]
        self._prefix = [
            [f"{self._tag(bucket)}:{name}:" for name in names] for bucket in range(buckets)
        ]
        self._marks = [
            [f"{self._tag(bucket)}:marks:{name}" for name in names] for bucket in range(buckets)
        ]
        self._script = files("features.stores").joinpath("compare_and_set.lua").read_text()
        self._sha: str | None = None

    def _tag(self, bucket: int) -> str:
        return f"{{{self._application}:{bucket}}}"

    def _bucket(self, entity: str) -> int:
        return zlib.crc32(entity.encode()) % self._buckets if self._buckets > 1 else 0

    def register(self, sources: Sequence[Source]) -> list[int]:
        """Give each source its small integer."""
        key = f"{self._tag(0)}:sources"
        return _reachable(
            lambda: [int(i) for i in self._client.eval(_REGISTER, 1, key, *map(str, sources))]
        )

    def first_version(self) -> int:
        """Microseconds since the epoch by the clock of Redis."""
        seconds, micros = _reachable(self._client.time)
        return int(seconds) * 1_000_000 + int(micros)

    def read(self, wanted: Sequence[Collection[str]]) -> list[list[tuple[str, bytes]]]:
        """For each view, the pairs that exist among the wanted ones; one round trip a node."""
        places: list[list[tuple[int, str]]] = [[] for _ in range(self._buckets)]
        keys: list[list[str]] = [[] for _ in range(self._buckets)]
        for view, entities in enumerate(wanted):
            if self._buckets == 1:
                prefix = self._prefix[0][view]
                keys[0] += [prefix + entity for entity in entities]
                places[0] += [(view, entity) for entity in entities]
                continue
            for entity in entities:
                bucket = self._bucket(entity)
                keys[bucket].append(self._prefix[bucket][view] + entity)
                places[bucket].append((view, entity))
        values = _reachable(lambda: self._mget(keys))
        found: list[list[tuple[str, bytes]]] = [[] for _ in wanted]
        for (view, entity), value in zip(
            (place for bucket in places for place in bucket), values, strict=True
        ):
            if value is not None:
                found[view].append((entity, value))
        return found

    def _mget(self, buckets: list[list[str]]) -> list[bytes | None]:
        reads = [
            keys[start : start + _KEYS_A_READ]
            for keys in buckets
            for start in range(0, len(keys), _KEYS_A_READ)
        ]
        if not reads:
            return []
        if len(reads) == 1:
            values: list[bytes | None] = self._client.mget(reads[0])
            return values
        with self._client.pipeline(transaction=False) as pipe:
            for keys in reads:
                pipe.execute_command("MGET", *keys)
            return [value for values in pipe.execute() for value in values]

    def write(self, writes: Sequence[StateWrite]) -> list[tuple[StateWrite, bytes | None]]:
        """Compare and set; return the writes that were lost, each with the present value."""
        if not writes:
            return []
        return _reachable(lambda: self._write(writes))

    def _write(self, writes: Sequence[StateWrite]) -> list[tuple[StateWrite, bytes | None]]:
        groups: dict[tuple[int, int], list[StateWrite]] = defaultdict(list)
        for write in writes:
            groups[self._bucket(write.entity), self._expiry[write.view]].append(write)
        calls = [
            (bucket, expiry, group[start : start + _KEYS_A_SCRIPT])
            for (bucket, expiry), group in groups.items()
            for start in range(0, len(group), _KEYS_A_SCRIPT)
        ]
        try:
            replies = self._compare_and_set(calls)
        except NoScriptError:
            # Redis was restarted or its scripts were flushed. Every call that did run is
            # repeated harmlessly: it is lost to itself, and the present value is what it wrote.
            self._sha = None
            replies = self._compare_and_set(calls)
        lost: list[tuple[StateWrite, bytes | None]] = []
        for (_, _, group), reply in zip(calls, replies, strict=True):
            for index, present in zip(reply[::2], reply[1::2], strict=True):
                write = group[index - 1]
                if present != write.packed:
                    lost.append((write, present))
        return lost

    def _compare_and_set(
        self, calls: Sequence[tuple[int, int, list[StateWrite]]]
    ) -> list[list[Any]]:
        if self._sha is None:
            self._sha = self._client.script_load(self._script)
        with self._client.pipeline(transaction=False) as pipe:
            for bucket, expiry, group in calls:
                prefixes = self._prefix[bucket]
                pipe.execute_command(
                    "EVALSHA",
                    self._sha,
                    len(group),
                    *[prefixes[w.view] + w.entity for w in group],
                    expiry,
                    *version_bytes([w.expected for w in group]),
                    *[w.packed for w in group],
                )
            replies: list[list[Any]] = pipe.execute()
            return replies

    def mark(self, progress: Mapping[int, int]) -> None:
        """Note the offsets for every view, on every node."""
        if not progress or not self._views:
            return
        mapping = {str(source): offset for source, offset in progress.items()}

        def send() -> None:
            with self._client.pipeline(transaction=False) as pipe:
                for bucket in self._marks:
                    for key in bucket:
                        pipe.hset(key, mapping=mapping)
                pipe.execute()

        _reachable(send)

    def marks(self) -> list[dict[int, int]]:
        """For each view, the lowest offset any node has each source applied through."""

        def load() -> list[dict[int, int]]:
            lowest: list[dict[int, int]] = []
            for view in range(len(self._views)):
                nodes = [
                    {int(k): int(v) for k, v in self._client.hgetall(bucket[view]).items()}
                    for bucket in self._marks
                ]
                common = set(nodes[0]).intersection(*nodes[1:])
                lowest.append({source: min(node[source] for node in nodes) for source in common})
            return lowest

        return _reachable(load)

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()


def _reachable(call: Callable[[], _T]) -> _T:
    """Run a call; raise `StoreUnavailableError` for what waiting may heal, all else as it is."""
    try:
        return call()
    except _AWAY as error:
        raise StoreUnavailableError(f"Redis is away: {error}") from error
    except RedisError as error:
        if str(error).startswith(_AWAY_CODES):
            raise StoreUnavailableError(f"Redis cannot serve: {error}") from error
        raise
