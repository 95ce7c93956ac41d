"""Stage state: the states of unfinished batches in memory, all others in the store.

A batch that overlaps an unfinished one reads the entities that one updates from memory, where they
already are, and everything else from the store. Its own updates are packed when it is enriched and
written, by compare-and-set, when its predictions are acknowledged.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from features.codec import StateCodec
from features.engine import EntityState, FeatureEngine, Tables
from features.stores import Progress, StateWrite, Store, StoreMismatchError
from stream_app.errors import FatalError
from stream_app.patience import Patience
from stream_app.records import Batch, Partition

__all__ = ["StateStage"]


class StateStage:
    """Reads, stages and writes states.

    `read`, `stage` and `settle` belong to the thread that enriches, `write` to the one that
    delivers.
    """

    def __init__(
        self,
        engine: FeatureEngine,
        store: Store,
        patience: Patience,
        *,
        on_seconds: Callable[[str, float], None],
        on_conflicts: Callable[[int], None],
    ) -> None:
        self._engine = engine
        self._store = store
        self._patience = patience
        self._on_seconds = on_seconds
        self._on_conflicts = on_conflicts
        self._codecs = [StateCodec(view) for view in engine.features.views]
        self._tables: Tables = engine.tables()
        self._written: deque[Batch] = deque()
        self._clock_ahead_ns = 0
        self.conflicted = threading.Event()
        """Set when another writer changed a state: what is in memory may lack its updates, so the
        next batch has to be enriched after all others finished."""

    def register(self, partitions: Sequence[Partition]) -> None:
        """Give partitions the ids their fences are kept under."""
        if not self._codecs or not partitions:
            return
        sources = [p.source for p in partitions if p.source is not None]
        try:
            ids = self._patience("redis", lambda: self._store.register(sources))
        except StoreMismatchError as error:
            raise FatalError(f"state_buckets: {error}") from error
        for partition, source_id in zip(partitions, ids, strict=True):
            partition.source_id = source_id

    def read(self, wanted: Sequence[set[str]]) -> Tables:
        """Tables that hold the wanted states, from memory or from the store; one round trip."""
        if not self._codecs:
            return self._tables
        self._forget_finished()
        missing = [keys.difference(table) for keys, table in zip(wanted, self._tables, strict=True)]
        if any(missing):
            started = time.perf_counter()
            found = self._patience("redis", lambda: self._store.read(missing))
            self._on_seconds("read", time.perf_counter() - started)
            for table, codec, pairs in zip(self._tables, self._codecs, found, strict=True):
                states = codec.unpack([packed for _, packed in pairs])
                for (entity, _), state in zip(pairs, states, strict=True):
                    table[entity] = state
        return self._tables

    def stage(self, wanted: Sequence[set[str]], number: int) -> list[StateWrite]:
        """Pack what batch `number` updated; let go of what was only read."""
        writes = []
        for view, (keys, table) in enumerate(zip(wanted, self._tables, strict=True)):
            for entity in keys:
                state = table.get(entity)
                if state is None:
                    continue
                if state.batch == number:
                    writes.append(self._next_write(view, entity, state))
                elif state.batch < 0:
                    del table[entity]
        return writes

    def _next_write(self, view: int, entity: str, state: EntityState) -> StateWrite:
        """The write that takes a state one version further."""
        expected = state.version
        state.version = expected + 1 if expected else self._new_version()
        return StateWrite(view, entity, expected, self._codecs[view].pack(state))

    def _new_version(self) -> int:
        # Versions never restart, so that a state that vanished and came back is not mistaken for
        # the one before: they begin with the store's clock in microseconds, which no state's
        # updates overtake.
        if not self._clock_ahead_ns:
            stored = self._patience("redis", self._store.first_version)
            self._clock_ahead_ns = stored * 1_000 - time.monotonic_ns()
        return (self._clock_ahead_ns + time.monotonic_ns()) // 1_000

    def write(self, batch: Batch, before_waiting: Callable[[], None] | None = None) -> None:
        """Write the batch's states by compare-and-set, then the progress marks.

        `before_waiting` is called before a wait for the store begins.
        """
        if not self._codecs:
            return
        started = time.perf_counter()
        progress = [Progress(p.source_id, -1, end) for p, end in batch.ends.items()]
        writes: Sequence[StateWrite] = batch.writes
        while lost := self._patience(
            "redis", partial(self._store.write, writes, progress), before_waiting
        ):
            self.conflicted.set()
            self._on_conflicts(len(lost))
            writes = self._reapply(batch, lost)
        self._on_seconds("write", time.perf_counter() - started)
        self._written.append(batch)

    def _reapply(
        self, batch: Batch, lost: Sequence[tuple[StateWrite, bytes | None]]
    ) -> list[StateWrite]:
        """Apply the batch's updates to the present states of the writes it lost."""
        tables = self._engine.tables()
        for write, present in lost:
            tables[write.view][write.entity] = (
                self._engine.absent(write.view)
                if present is None
                else self._codecs[write.view].unpack([present])[0]
            )
        self._engine.reapply([i for i in batch.items if i.failure is None], tables)
        return [
            self._next_write(write.view, write.entity, tables[write.view][write.entity])
            for write, _ in lost
        ]

    def _forget_finished(self) -> None:
        while self._written:
            batch = self._written.popleft()
            for write in batch.writes:
                table = self._tables[write.view]
                state = table.get(write.entity)
                if state is not None and state.batch == batch.number:
                    del table[write.entity]

    def forget_all(self) -> None:
        """Drop every state in memory: only while no batch is unfinished."""
        self._written.clear()
        self.conflicted.clear()
        for table in self._tables:
            table.clear()
