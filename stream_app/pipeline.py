"""The path of a record, from the topics to the committed offset.

The order of a batch, which every guarantee rests on:

0. see that the state is where the log is                      (`recovery`)
1. hold records until their turn, decode them then             (`align`, `decode`)
2. read the state of all its entities, one round trip a node   (`enrich`, `state`)
3. in its order: read features, apply updates in memory        (`enrich`)
4. score                                                       (`score`)
5. produce predictions and dead letters, wait for every one    (`publish`)
6. write the state, fenced; then the progress marks            (`state`)
7. commit the offsets of the longest finished prefix           (`commit`)

Before step 5 nothing has changed outside, so a crash loses nothing: what is not committed is read
again, publishes the same prediction ids, and the fences skip updates that were applied.

Steps 1 to 4 of a batch overlap steps 5 to 7 of the batches before it, on one thread each; both
threads take batches in order, so publishing, state and commits keep the order of the records.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from features.stores import StateLostError
from stream_app.align import AlignStage
from stream_app.commit import CommitStage
from stream_app.decode import DecodeStage
from stream_app.enrich import EnrichStage, HalfAppliedError
from stream_app.isolation import CrashIsolation
from stream_app.metrics import Metrics
from stream_app.outgoing import OutgoingRecords
from stream_app.publish import Publishing
from stream_app.record_clock import RecordClock
from stream_app.records import Batch, Chunk, Item, Record
from stream_app.recovery import Recovery
from stream_app.score import ScoreStage
from stream_app.state import StateStage
from stream_app.watchdog import Watchdog

__all__ = ["Pipeline", "Stages"]


@dataclass(frozen=True)
class Stages:
    """One worker's stages."""

    clock: RecordClock
    align: AlignStage
    isolation: CrashIsolation
    decode: DecodeStage
    enrich: EnrichStage
    score: ScoreStage
    outgoing: OutgoingRecords
    publish: Publishing
    state: StateStage
    recovery: Recovery
    commit: CommitStage


class Pipeline:
    """Takes chunks through the stages."""

    def __init__(
        self,
        stages: Stages,
        metrics: Metrics,
        watchdog: Watchdog,
        *,
        depth: int,
        on_finished: Callable[[Batch], None],
        on_crash: Callable[[BaseException], None],
    ) -> None:
        """`depth`: batches that may be under way at once. `on_crash` is called once, at most."""
        self._stages = stages
        self._metrics = metrics
        self._watchdog = watchdog
        self._on_finished = on_finished
        self._on_crash = on_crash
        self._slots = asyncio.Semaphore(depth)
        self._compute_thread = ThreadPoolExecutor(1, "compute")
        self._deliver_thread = ThreadPoolExecutor(1, "deliver")
        self._crashed = False
        self._batches = 0
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        stages.commit.hurry = self._hurry
        stages.recovery.on_crash = self._crash_on_loop

    async def __call__(self, chunk: Chunk) -> None:
        """Take one chunk: return when all that it released is on its way to be delivered."""
        batches = self._compute(chunk)
        while True:
            await self._slots.acquire()
            computed = self._compute_thread.submit(next, batches, None)
            try:
                batch = await asyncio.wrap_future(computed)
            except asyncio.CancelledError:
                computed.add_done_callback(self._abandon)
                raise
            if batch is None:
                self._slots.release()
                return
            delivered = self._deliver_thread.submit(self._deliver, batch)
            delivered.add_done_callback(self._on_loop(self._delivered))

    def _compute(self, chunk: Chunk) -> Iterator[Batch]:
        stages, timed = self._stages, self._timed
        if chunk.revoked:
            stages.recovery.give_up(chunk.revoked)
        if chunk.assigned:
            stages.recovery.take(chunk.assigned)
            stages.isolation.take(chunk.assigned)
        with timed("align", chunk.records):
            stages.clock(chunk.records)
            stages.align.take(chunk)
        for released in stages.align.batches(self._decode, stages.isolation.batch_limit):
            yield self._compute_batch(released)
        stages.isolation.look()
        if not chunk.records:
            stages.recovery.look()

    def _decode(self, records: Sequence[Record]) -> list[Item]:
        with self._timed("decode", records):
            return self._stages.isolation.decode(records, self._stages.decode)

    def _compute_batch(self, released: list[Item]) -> Batch:
        stages, timed = self._stages, self._timed
        while True:
            if stages.state.conflicted.is_set():
                # Another writer changed a state we hold in memory: finish everything, forget,
                # and read it anew.
                stages.commit.settle(None, timeout=None)
                stages.state.forget_all()
            stages.recovery.ready()
            mine, ends = stages.commit.admit(released)
            self._batches += 1
            batch = Batch(self._batches, mine, ends=ends)
            try:
                with timed("enrich", _records(batch)):
                    stages.enrich(batch)
                with timed("score", _records(batch)):
                    stages.score(batch)
                stages.outgoing(batch)
            except StateLostError as error:
                stages.commit.abandoned(batch)
                stages.recovery.lost(error)
            except HalfAppliedError:
                # What is in memory is forgotten, as after a conflict.
                stages.commit.abandoned(batch)
                stages.state.conflicted.set()
            except BaseException:
                stages.commit.abandoned(batch)
                raise
            else:
                stages.recovery.admitted(ends)
                return batch

    @contextlib.contextmanager
    def _timed(self, stage: str, records: Iterable[Record]) -> Iterator[None]:
        with self._metrics.stage(stage), self._watchdog.work(stage, records):
            yield

    def _deliver(self, batch: Batch) -> None:
        stages, timed = self._stages, self._timed
        if self._crashed:
            stages.commit.abandoned(batch)
            return
        try:
            with timed("publish", _records(batch)):
                stages.publish(batch)
            with timed("state", _records(batch)), self._left_to_recovery():
                if not stages.recovery.is_lost:
                    stages.state.write(batch, stages.publish.suspend)
            with self._watchdog.work("finish", _records(batch)):
                self._finished(stages.publish.finish(batch))
        except BaseException:
            self._crash(batch)
            raise

    @contextlib.contextmanager
    def _left_to_recovery(self) -> Iterator[None]:
        """What cannot be written since the store lost what it builds on is applied from the log."""
        try:
            yield
        except StateLostError as error:
            self._stages.recovery.lost(error)

    def _flush(self) -> None:
        if self._crashed:
            return
        try:
            with self._watchdog.work("finish", ()):
                self._finished(self._stages.publish.flush())
        except BaseException:
            self._crash()
            raise

    def _finished(self, batches: list[Batch]) -> None:
        for batch in batches:
            self._stages.commit.finished(batch, committed=self._stages.publish.commits_offsets)
            self._on_finished(batch)

    def _crash(self, *batches: Batch) -> None:
        self._crashed = True
        put_off = self._stages.publish.abandon()
        for batch in {id(batch): batch for batch in (*batches, *put_off)}.values():
            self._stages.commit.abandoned(batch)

    def _on_loop(self, call: Callable[[Future[None]], None]) -> Callable[[Future[None]], None]:
        def schedule(done: Future[None]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(call, done)

        return schedule

    def _delivered(self, delivered: Future[None]) -> None:
        self._slots.release()
        self._note(delivered)
        put_off = self._stages.publish.put_off_seconds
        if put_off is not None and self._timer is None:
            self._timer = self._loop.call_later(put_off, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        self._hurry()

    def _hurry(self) -> None:
        """Finish what was put off, once all batches before it are delivered."""
        if self._stages.publish.commits_offsets:
            with contextlib.suppress(RuntimeError):  # it was shut down: nothing is put off
                flushed = self._deliver_thread.submit(self._flush)
                flushed.add_done_callback(self._on_loop(self._note))

    def _crash_on_loop(self, error: BaseException) -> None:
        self._loop.call_soon_threadsafe(self._on_crash, error)

    def _note(self, done: Future[None]) -> None:
        if (error := done.exception()) is not None:
            self._on_crash(error)

    def _abandon(self, computed: Future[Batch | None]) -> None:
        if not computed.cancelled() and computed.exception() is None:
            batch = computed.result()
            if batch is not None:
                self._stages.commit.abandoned(batch)

    def close(self) -> None:
        """Take no more chunks; what is on its way to be delivered goes on."""
        self._compute_thread.shutdown(wait=False, cancel_futures=True)
        self._hurry()
        self._deliver_thread.shutdown(wait=False)


def _records(batch: Batch) -> Iterator[Record]:
    return (item.record for item in batch.items)
