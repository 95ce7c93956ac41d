"""States in Redis (or Valkey): one key a view and entity, read by MGET, written by compare-and-set.

Keys, for application A and bucket B (always 0 unless `buckets` spreads a cluster's slots):

    {A:B}:<layout>:<view>:<entity>    packed state
    {A:B}:marks                       hash: <layout>:<view>:<source> -> offset applied through
    {A:0}:sources                     hash: cluster/topic/partition -> source

The braces are Redis Cluster's hash tag: all keys of a bucket share a slot, so one MGET and one
script call a bucket are enough.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from importlib.resources import files
from typing import Any, TypeVar

from hiredis import pack_command
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
_AWAY_CODES = (
    "MASTERDOWN",
    "CLUSTERDOWN",
    "TRYAGAIN",
    "MISCONF",
    "NOREPLICAS",
    "UNBLOCKED",
    "BUSY ",
)

_T = TypeVar("_T")
_Command = tuple[str | bytes | int, ...]

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
        self._marks = [f"{self._tag(bucket)}:marks" for bucket in range(buckets)]
        self._names = names
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
        reads = [
            ("MGET", *bucket[start : start + _KEYS_A_READ])
            for bucket in keys
            for start in range(0, len(bucket), _KEYS_A_READ)
        ]
        values = [value for reply in self._round_trip(reads) for value in reply]
        found: list[list[tuple[str, bytes]]] = [[] for _ in wanted]
        for (view, entity), value in zip(
            (place for bucket in places for place in bucket), values, strict=True
        ):
            if value is not None:
                found[view].append((entity, value))
        return found

    def write(
        self, writes: Sequence[StateWrite], progress: Mapping[int, int]
    ) -> list[tuple[StateWrite, bytes | None]]:
        """Compare and set, then note the progress; one round trip a node."""
        groups: dict[tuple[int, int], list[StateWrite]] = defaultdict(list)
        for write in writes:
            groups[self._bucket(write.entity), self._expiry[write.view]].append(write)
        calls = [
            (bucket, expiry, group[start : start + _KEYS_A_SCRIPT])
            for (bucket, expiry), group in groups.items()
            for start in range(0, len(group), _KEYS_A_SCRIPT)
        ]
        marks = self._mark_commands(progress)
        try:
            replies = self._compare_and_set(calls, marks)
        except NoScriptError:
            # Redis was restarted or its scripts were flushed. A call that did run is repeated
            # harmlessly: it is lost to itself, and the present value is what it wrote.
            self._sha = None
            replies = self._compare_and_set(calls, marks)
        lost: list[tuple[StateWrite, bytes | None]] = []
        for (_, _, group), reply in zip(calls, replies, strict=False):
            for index, present in zip(reply[::2], reply[1::2], strict=True):
                write = group[index - 1]
                if present != write.packed:
                    lost.append((write, present))
        return lost

    def _compare_and_set(
        self, calls: Sequence[tuple[int, int, list[StateWrite]]], marks: Sequence[_Command]
    ) -> list[Any]:
        if self._sha is None:
            self._sha = _reachable(lambda: str(self._client.script_load(self._script)))
        scripts: list[_Command] = []
        for bucket, expiry, group in calls:
            prefixes = self._prefix[bucket]
            scripts.append(
                (
                    "EVALSHA",
                    self._sha,
                    len(group),
                    *[prefixes[w.view] + w.entity for w in group],
                    expiry,
                    *version_bytes([w.expected for w in group]),
                    *[w.packed for w in group],
                )
            )
        return self._round_trip([*scripts, *marks])

    def _mark_commands(self, progress: Mapping[int, int]) -> list[_Command]:
        fields: list[str | int] = []
        for name in self._names:
            for source, offset in progress.items():
                fields += (f"{name}:{source}", offset)
        return [("HSET", key, *fields) for key in self._marks] if fields else []

    def _round_trip(self, commands: Sequence[_Command]) -> list[Any]:
        """Send commands together and read their replies.

        redis-py's own packing walks over every argument in Python, which for thousands of keys a
        batch costs more than Redis itself; its connections are used as they are.
        """
        if not commands:
            return []

        def send() -> list[Any]:
            pool = self._client.connection_pool
            connection = pool.get_connection()
            try:
                packed = b"".join([pack_command(c) for c in commands])  # type: ignore[arg-type]
                connection.send_packed_command([packed])
                replies = []
                for _ in commands:
                    replies.append(connection.read_response())  # noqa: PERF401 - one may raise
            except BaseException:
                # Replies that were not read would be taken for those of the next command.
                connection.disconnect()
                raise
            finally:
                pool.release(connection)
            return replies

        return _reachable(send)

    def marks(self) -> list[dict[int, int]]:
        """For each view, the lowest offset any node has each source applied through."""

        nodes: list[list[dict[int, int]]] = []
        for key in self._marks:
            found: dict[str, dict[int, int]] = {name: {} for name in self._names}
            stored = _reachable(partial(self._client.hgetall, key))
            for field, offset in stored.items():
                name, _, source = field.decode().rpartition(":")
                if name in found:
                    found[name][int(source)] = int(offset)
            nodes.append(list(found.values()))
        return [
            {
                source: min(node[view][source] for node in nodes)
                for source in set(nodes[0][view]).intersection(*(node[view] for node in nodes[1:]))
            }
            for view in range(len(self._names))
        ]

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
