"""Stage state: the states of unfinished batches in memory, all others in the store.

A batch that overlaps an unfinished one reads the entities that one updates from memory, where they
already are, and everything else from the store. Its own updates are packed when it is enriched and
written, by compare-and-set, when its predictions are acknowledged.

The store keeps a mark a source: the offset through which its records are applied. Every read and
every write says which marks it expects; where the store holds less, it lost what it acknowledged,
and `recovery` builds it again.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from stream_app.errors import FatalError, StreamAppError
from stream_app.features.engine.careful import reapply_carefully
from stream_app.features.engine.compiled_plans import compiled_staging
from stream_app.features.engine.engine import EntityState, FeatureEngine, Tables
from stream_app.features.kinds import StateOverflowError
from stream_app.features.stores import Progress, StateWrite, Store
from stream_app.features.stores.codec import StateCodec, StateUnreadableError, unique_versions
from stream_app.observer.events import StateConflicts, StoreAsked
from stream_app.observer.observer import Observer
from stream_app.records.batch import Batch
from stream_app.records.item import Item
from stream_app.records.log_fields import about
from stream_app.records.partition import Partition
from stream_app.state.fencing import FEW_FENCES, FencingByPartition
from stream_app.state.store_errors import ask
from stream_app.text.foreign import bounded
from stream_app.waiting.retry import Retry

__all__ = ["StateStage"]

log = logging.getLogger(__name__)

_T = TypeVar("_T")


class StateStage:
    """Reads, stages and writes states.

    `read`, `stage` and `forget_all` belong to the thread that enriches, `write` to the one that
    delivers.
    """

    def __init__(
        self,
        engine: FeatureEngine,
        store: Store,
        retry: Retry,
        observer: Observer,
    ) -> None:
        self._engine = engine
        self._store = store
        self._retry = retry
        self._observer = observer
        views = engine.features.views
        self._codecs = [StateCodec(view) for view in views]
        self._sums_up = [getattr(view.state, "sums_up", False) for view in views]
        self._tables: Tables = engine.tables()
        self._written: deque[Batch] = deque()
        self._marks: dict[Partition, Progress] = {}
        self._marks_lock = threading.Lock()
        self.fencing: Final = FencingByPartition()
        self._new_version = unique_versions()
        self._compiled_staging = compiled_staging()
        self.conflicted = threading.Event()
        """Set when another writer changed a state: what is in memory may lack its updates, so the
        next batch has to be enriched after all others finished."""

    def _ask(self, call: Callable[[], _T], before_waiting: Callable[[], None] | None = None) -> _T:
        return self._retry("redis", partial(ask, call), before_waiting)

    @property
    def has_views(self) -> bool:
        """Whether there is any state to keep."""
        return bool(self._codecs)

    def register(self, log_starts: Mapping[Partition, int]) -> None:
        """Give partitions the ids their fences are kept under; fences before a log start may go."""
        if not self._codecs or not log_starts:
            return
        sources = [p.source for p in log_starts if p.source is not None]
        ids = self._ask(lambda: self._store.register(sources))
        for (partition, log_start), source_id in zip(log_starts.items(), ids, strict=True):
            self.fencing.register(partition, source_id, log_start)

    def applied(self, partitions: Sequence[Partition]) -> list[int]:
        """For each partition the offset that every view has it applied through; -1 for none."""
        marks = self._ask(self._store.marks)
        ids = [self.fencing[partition].source_id for partition in partitions]
        return [min(view.get(source_id, -1) for view in marks) for source_id in ids]

    def reopen(self) -> None:
        """Turn to the generation of states that is the current one; then `register` again."""
        self.fencing.forget_log_starts()
        self._ask(self._store.reopen)

    def expect(self, partition: Partition, applied: int) -> None:
        """From now on the store has to hold the partition's records through `applied`."""
        with self._marks_lock:
            source_id = self.fencing[partition].source_id
            self._marks[partition] = Progress(source_id, applied, applied)

    def expect_nothing(self, partitions: Iterable[Partition]) -> None:
        """Nothing is known about the store's marks of these partitions."""
        with self._marks_lock:
            for partition in partitions:
                self._marks.pop(partition, None)

    def expected(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The marks that the store is known to hold of these partitions."""
        marks = self._marks.copy()
        return {p: marks[p].expected for p in partitions if p in marks}

    def read(self, wanted: Sequence[set[str]]) -> Tables:
        """Tables that hold the wanted states, from memory or from the store; one round trip.

        Raises `StateLostError`.
        """
        if not self._codecs:
            return self._tables
        self._forget_finished()
        missing = [keys.difference(table) for keys, table in zip(wanted, self._tables, strict=True)]
        if any(missing):
            started = time.perf_counter()
            # As one object: the other thread may note progress meanwhile.
            marks = list(self._marks.copy().values())
            found = self._ask(lambda: self._store.read(missing, marks))
            self._observer.tell(StoreAsked("read", time.perf_counter() - started))
            for view, (table, pairs) in enumerate(zip(self._tables, found, strict=True)):
                for (entity, _), state in zip(pairs, self._unpack(view, pairs), strict=True):
                    table[entity] = state
        return self._tables

    def _unpack(self, view: int, pairs: Sequence[tuple[str, bytes]]) -> list[EntityState]:
        try:
            return self._codecs[view].unpack([packed for _, packed in pairs])
        except StateUnreadableError as error:
            entity, _ = pairs[error.position]
            raise FatalError(
                f"what the store holds for {bounded(entity)!r} in view "
                f"{self._engine.features.views[view].name} is no state: something else wrote there. "
                "Run `stream-app state rebuild`, or give `application` another name"
            ) from error

    def check(self) -> None:
        """Raise `StateLostError` if the store lost something, although nothing is read now."""
        if self._marks:
            marks = list(self._marks.copy().values())
            nothing: list[set[str]] = [set() for _ in self._codecs]
            self._ask(lambda: self._store.read(nothing, marks))

    def stage(self, wanted: Sequence[set[str]], number: int) -> list[StateWrite]:
        """Pack what batch `number` updated; let go of what was only read."""
        writes: list[StateWrite] = []
        for view, (keys, table) in enumerate(zip(wanted, self._tables, strict=True)):
            if self._compiled_staging is not None:
                writes += self._compiled_staging(
                    view, keys, table, number, FEW_FENCES, self.fencing.prune, self._new_version,
                    self._pack, StateWrite,
                )  # fmt: skip
                continue
            for entity in keys:
                state = table.get(entity)
                if state is None:
                    continue
                if state.batch == number:
                    writes.append(self._next_write(view, entity, state))
                elif state.batch < 0:
                    del table[entity]
        return writes

    def check_fits(self, view: int, state: EntityState) -> None:
        """Raise `StateOverflowError` unless the store can keep a view's state."""
        self._pack(view, state)

    def _pack(self, view: int, state: EntityState) -> bytes:
        values = state.values
        # The sum of numbers is finite only if each of them is.
        if (
            self._sums_up[view]
            and not math.isfinite(sum(values))
            and not all(map(math.isfinite, values[1:]))
        ):
            raise StateOverflowError("a sum of the state is not finite any more")
        return self._codecs[view].pack(state)

    def _next_write(self, view: int, entity: str, state: EntityState) -> StateWrite:
        """The write that gives a state its next version."""
        self.fencing.prune(state.fences)
        expected, state.version = state.version, self._new_version()
        return StateWrite(view, entity, expected, self._pack(view, state))

    def write(self, batch: Batch, before_waiting: Callable[[], None] | None = None) -> None:
        """Write the batch's states by compare-and-set, then the progress marks.

        Raises `StateLostError` where the store lost what these states were made from: the records
        are applied when the state is built again. `before_waiting` is called before a wait for the
        store begins.
        """
        if not self._codecs:
            return
        started = time.perf_counter()
        progress = {p: self._progress(p, end, batch) for p, end in batch.applied.items()}
        writes: Sequence[StateWrite] = batch.writes
        while conflicts := self._ask(
            partial(self._store.write, writes, list(progress.values())), before_waiting
        ):
            self.conflicted.set()
            self._observer.tell(StateConflicts(len(conflicts)))
            writes = self._reapply(batch, conflicts)
        self._observer.tell(StoreAsked("write", time.perf_counter() - started))
        with self._marks_lock:
            for partition, written in progress.items():
                if partition in self._marks:
                    applied = max(written.expected, written.through)
                    self._marks[partition] = Progress(written.source, applied, applied)
        self._written.append(batch)

    def _progress(self, partition: Partition, end: int, batch: Batch) -> Progress:
        known = self._marks.get(partition)
        # If the partition was revoked meanwhile, its mark is no longer known. The mark that the batch
        # was enriched with still is.
        expected = max(known.expected if known else -1, batch.expected.get(partition, -1))
        return Progress(self.fencing[partition].source_id, expected, end)

    def _reapply(
        self, batch: Batch, lost: Sequence[tuple[StateWrite, bytes | None]]
    ) -> list[StateWrite]:
        """Apply the batch's updates to the present states of the writes it lost."""
        items = [i for i in batch.updating if i.is_applied and i.record.partition in batch.applied]
        try:
            tables = self._present(lost)
            self._engine.reapply(items, tables)
            return self._next_writes(lost, tables)
        except (StreamAppError, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - a function of the declaration may raise on another state
            return self._reapply_carefully(items, lost)

    def _reapply_carefully(
        self, items: Sequence[Item], lost: Sequence[tuple[StateWrite, bytes | None]]
    ) -> list[StateWrite]:
        tables = self._present(lost)
        reapply_carefully(self._engine, items, tables, self.check_fits)
        for item in items:
            if item.error is not None:
                log.error(
                    "%s %d: another worker changed a state meanwhile, which cannot take this "
                    "record's update, though what came of it is published: %s",
                    item.record.partition, item.offset, item.error,
                    extra=about(item.record.partition, item.offset),
                )  # fmt: skip
                item.error = None  # with its traceback, which holds the batch
        return self._next_writes(lost, tables)

    def _present(self, lost: Sequence[tuple[StateWrite, bytes | None]]) -> Tables:
        """The present states of writes that were lost."""
        tables = self._engine.tables()
        for write, present in lost:
            tables[write.view][write.entity] = (
                self._engine.absent(write.view)
                if present is None
                else self._unpack(write.view, [(write.entity, present)])[0]
            )
        return tables

    def _next_writes(
        self, lost: Sequence[tuple[StateWrite, bytes | None]], tables: Tables
    ) -> list[StateWrite]:
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
