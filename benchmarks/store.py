"""What safety costs in the store: compare-and-set, marks and fences, against none, in one run.

    python -m benchmarks.store

Batches go to a real Redis on this machine, contenders in turn, medians. A mark is checked and
written for each view of the demo and for each of 24 partitions.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from hiredis import pack_command
from redis import Redis

from features.flights import usecase
from stream_app.features.engine.engine import EntityState
from stream_app.features.kinds import DecayedSums
from stream_app.features.stores import Progress, StateWrite
from stream_app.features.stores.codec import StateCodec
from stream_app.features.stores.fences import prune_fences
from stream_app.features.stores.redis import RedisStore
from stream_app.features.views import Column, Entity, View
from stream_app.local import LocalRedis

_STATE_BYTES = 200
_SOURCES = 24


def main() -> None:
    """Print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=40)
    rounds = arguments.parse_args().rounds
    views = len(usecase.features.views)
    print(f"{views} views, {_SOURCES} sources, states of {_STATE_BYTES} bytes; {rounds} rounds\n")
    with LocalRedis() as server, Redis.from_url(server.url) as client:
        print("batch of keys  step   contender                       ms    ratio  of blind")
        for keys, sources in ((5, 1), (500, _SOURCES), (4_000, _SOURCES), (12_000, _SOURCES)):
            _writes(client, keys, sources, rounds)
            _reads(client, keys, sources, rounds)
    print("\nsources  bytes of fences a state  pack us  unpack us  prune us (nothing, all)")
    for sources in (8, 64, 256):
        _fences(sources)


def _writes(client: Redis, keys: int, sources: int, rounds: int) -> None:
    """A blind MSET, compare-and-set, and compare-and-set with marks."""
    client.flushall()
    stores = {
        name: RedisStore(client, usecase.features, name) for name in ("bare", "fenced", "marked")
    }
    entities = [f"entity-{n}" for n in range(keys)]
    views = [n % len(usecase.features.views) for n in range(keys)]
    content = random.randbytes(_STATE_BYTES - 8)
    version = 0

    def blind() -> None:
        packed = version.to_bytes(8, "little") + content
        pairs: list[Any] = ["MSET"]
        for view, entity in zip(views, entities, strict=True):
            pairs += (f"{{blind:0}}:0:12345678:{view}:{entity}", packed)
        _send(client, pairs)

    def writes() -> list[StateWrite]:
        packed = version.to_bytes(8, "little") + content
        return [
            StateWrite(view, entity, version - 1, packed)
            for view, entity in zip(views, entities, strict=True)
        ]

    def fenced() -> None:
        assert stores["fenced"].write(writes(), []) == []

    def marked() -> None:
        progress = [Progress(source, version - 2, version - 1) for source in range(1, sources + 1)]
        assert stores["marked"].write(writes(), progress) == []

    contenders: dict[str, Callable[[], None]] = {
        "blind MSET": blind,
        "compare-and-set": fenced,
        "compare-and-set and marks": marked,
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        version += 1
        for name, contender in contenders.items():
            times[name].append(_seconds(contender))
    _say(keys, "write", times)


def _reads(client: Redis, keys: int, sources: int, rounds: int) -> None:
    """MGET, and MGET with marks."""
    store = RedisStore(client, usecase.features, "marked")
    wanted: list[list[str]] = [[] for _ in usecase.features.views]
    for n in range(keys):
        wanted[n % len(wanted)].append(f"entity-{n}")
    progress = [Progress(source, 0, 0) for source in range(1, sources + 1)]
    times: dict[str, list[float]] = {"MGET": [], "MGET and marks": []}
    for _ in range(rounds):
        times["MGET"].append(_seconds(lambda: store.read(wanted)))
        times["MGET and marks"].append(_seconds(lambda: store.read(wanted, progress)))
    _say(keys, "read", times)


def _fences(sources: int) -> None:
    """Size and time of a state's fences, for a number of source partitions."""
    state = DecayedSums(3_600.0, ("a", "b"))
    view = View(
        name="v",
        entity=Entity("e", lambda _: "e"),
        state=state,
        on={},
        columns=(Column("n", state.count(), "", ""),),
    )
    codec = StateCodec(view)
    fences = {source: 10**6 + source for source in range(1, sources + 1)}
    bare = len(codec.pack(EntityState(1, 1, 1, 0.0, state.empty())))
    held = EntityState(1, 1, 1, 0.0, state.empty())
    held.fences.update(fences)
    packed = codec.pack(held)
    starts = dict.fromkeys(fences, 10**6)
    ends = dict.fromkeys(fences, 10**7)
    pack = _each(lambda: codec.pack(held))
    unpack = _each(lambda: codec.unpack([packed])[0].fences)
    prune = _each(lambda: prune_fences(fences, starts)), _each(lambda: prune_fences(fences, ends))
    print(
        f"{sources:>7}  {len(packed) - bare:>23}  {pack:>7.2f}  {unpack:>9.2f}  "
        f"{prune[0]:.2f}, {prune[1]:.2f}"
    )


def _send(client: Redis, command: Sequence[Any]) -> None:
    connection: Any = client.connection_pool.get_connection()
    connection.send_packed_command([pack_command(tuple(command))])
    connection.read_response()
    client.connection_pool.release(connection)


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _each(call: Callable[[], object], count: int = 5_000) -> float:
    """Microseconds a call, the best of five."""

    def many() -> None:
        for _ in range(count):
            call()

    return min(_seconds(many) for _ in range(5)) / count * 1e6


def _say(keys: int, step: str, times: dict[str, list[float]]) -> None:
    first = statistics.median(next(iter(times.values())))
    for name, seconds in times.items():
        median = statistics.median(seconds)
        print(f"{keys:>13}  {step:<5}  {name:<28}  {median * 1e3:>6.2f}  {median / first:>6.2f}")


if __name__ == "__main__":
    main()
