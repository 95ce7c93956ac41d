"""Writers that share one entity: what each waits, and that no update is lost.

    python -m benchmarks.contention --writers 1,4,16 --batches 100

Each writer is a process with a connection of its own, and takes batches of events of one entity as a
worker does: read, apply, compare and set, and where another was faster, apply again to what it left.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import NamedTuple

from redis import Redis

from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import FeatureEngine, Tables, account_hashes
from stream_app.features.engine.order import rank
from stream_app.features.events import Event
from stream_app.features.kinds import DecayedSums
from stream_app.features.stores import Progress, StateWrite
from stream_app.features.stores.codec import StateCodec, unique_versions
from stream_app.features.stores.redis import RedisStore
from stream_app.features.views import Column, Entity, FeatureSet, View
from stream_app.local import LocalRedis

__all__ = ["Outcome", "contend"]


class Sale(Event):
    """An event of the one shop there is."""

    amount: float = 1.0


_SUMS = DecayedSums(3_600.0, ("amount",))
FEATURES = FeatureSet(
    views=(
        View(
            name="sales",
            entity=Entity("shop", lambda _: "the only one"),
            state=_SUMS,
            on={Sale: lambda event: (event.event_time, event.amount)},
            columns=(Column("sales", _SUMS.count(), "", "Sales lately."),),
        ),
    )
)


class Outcome(NamedTuple):
    """What came of it."""

    seconds: list[float]
    """For each batch of each writer, how long it took."""
    conflicts: int
    updates: int
    """Updates that the state holds, and their digest."""
    digest: int
    expected_updates: int
    expected_digest: int


def contend(url: str, writers: int, batches: int, size: int = 16) -> Outcome:
    """Let processes write the state of one entity at once."""
    context = get_context("spawn")
    barrier = context.Barrier(writers)
    with Redis.from_url(url) as client:
        client.flushall()
    with context.Pool(writers, initializer=_meet, initargs=(barrier,)) as pool:
        tasks = [(url, source, batches, size) for source in range(1, writers + 1)]
        results = pool.starmap(_write, tasks, chunksize=1)
    with Redis.from_url(url) as client:
        ((_, packed),) = RedisStore(client, FEATURES, "contention").read([["the only one"]])[0]
    (state,) = StateCodec(FEATURES.views[0]).unpack([packed])
    updates = batches * size
    places = [(s, o) for s in range(1, writers + 1) for o in range(updates)]
    digests = account_hashes([s for s, _ in places], [o for _, o in places])
    return Outcome(
        [seconds for times, _ in results for seconds in times],
        sum(conflicts for _, conflicts in results),
        state.count,
        state.digest,
        writers * updates,
        sum(digests) % 2**64,
    )


_barrier: Barrier


def _meet(barrier: Barrier) -> None:
    # A barrier reaches a process only when that is made.
    global _barrier
    _barrier = barrier


def _write(url: str, source: int, batches: int, size: int) -> tuple[list[float], int]:
    """Take the batches of one source; return the seconds of each, and the conflicts."""
    engine, codec = FeatureEngine(FEATURES), StateCodec(FEATURES.views[0])
    seconds, conflicts = [], 0
    with Redis.from_url(url) as client:
        store = RedisStore(client, FEATURES, "contention")
        new_version = unique_versions()
        _barrier.wait(60.0)
        for number in range(batches):
            offsets = range(number * size, (number + 1) * size)
            arrivals = [
                Arrival(
                    Sale.model_construct(event_id="", event_time=float(o), amount=1.0),
                    source,
                    rank(0, source),
                    o,
                )
                for o in offsets
            ]
            started = time.perf_counter()
            conflicts += _batch(store, engine, codec, arrivals, new_version)
            seconds.append(time.perf_counter() - started)
    return seconds, conflicts


def _batch(
    store: RedisStore,
    engine: FeatureEngine,
    codec: StateCodec,
    arrivals: Sequence[Arrival],
    new_version: Callable[[], int],
) -> int:
    """Read, apply and write; return how often another writer was faster."""
    source, end = arrivals[-1].source, arrivals[-1].offset
    known = arrivals[0].offset - 1
    progress = [Progress(source, known, end)]

    def tables_of(pairs: Sequence[tuple[str, bytes]]) -> Tables:
        states = codec.unpack([packed for _, packed in pairs])
        return [dict(zip([entity for entity, _ in pairs], states, strict=True))]

    def writes_of(tables: Tables) -> list[StateWrite]:
        writes = []
        for entity, state in tables[0].items():
            expected = state.version
            state.version = new_version()
            writes.append(StateWrite(0, entity, expected, codec.pack(state)))
        return writes

    wanted = engine.gather(arrivals)
    tables = tables_of(store.read(wanted, progress)[0])
    engine.advance(arrivals, tables)
    conflicts = 0
    while lost := store.write(writes_of(tables), progress):
        conflicts += 1
        tables = tables_of([(w.entity, packed) for w, packed in lost if packed is not None])
        for write, packed in lost:
            if packed is None:
                tables[0][write.entity] = engine.absent(0)
        engine.reapply(arrivals, tables)
    return conflicts


def main() -> None:
    """Print a line for each number of writers."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--writers", default="1,4,16")
    arguments.add_argument("--batches", type=int, default=100)
    options = arguments.parse_args()
    print("writers  p50 ms  p99 ms  conflicts a batch  lost")
    with LocalRedis() as server:
        for writers in map(int, options.writers.split(",")):
            outcome = contend(server.url, writers, options.batches)
            cuts = statistics.quantiles(outcome.seconds, n=100)
            exact = outcome.digest == outcome.expected_digest
            print(
                f"{writers:>7}  {cuts[49] * 1e3:>6.2f}  {cuts[98] * 1e3:>6.2f}  "
                f"{outcome.conflicts / len(outcome.seconds):>17.2f}  "
                f"{outcome.expected_updates - outcome.updates}{'' if exact else ', digest differs'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
