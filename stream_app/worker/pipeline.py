"""The path of a record, from the topics to the committed offset.

The order of a batch, which every guarantee rests on:

0. see that the state is where the log is                      (`recovery`)
1. hold records until their turn, decode them then             (`align`, `predictor`: `decode`)
2. read the state of all its entities, one round trip a node   (`predictor`: `enrich`, `state`)
3. in its order: read features, apply updates in memory        (`predictor`: `enrich`)
4. score; stop a partition that has too many refused records   (`predictor`: `score`; `flood`)
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
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from stream_app.alignment.align import AlignStage
from stream_app.alignment.record_clock import RecordClock
from stream_app.crash_isolation.isolation import CrashIsolation
from stream_app.delivery.publish import Publishing
from stream_app.errors import StoppingError
from stream_app.features.stores import StateLostError
from stream_app.flood.breaker import FloodBreaker
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.observer.events import BatchAbandoned, BatchBegan
from stream_app.observer.observer import Observer
from stream_app.predictor.enrich import HalfAppliedError
from stream_app.predictor.predictor import Predictor
from stream_app.records.batch import Batch
from stream_app.records.chunk import Chunk
from stream_app.records.item import Item
from stream_app.recovery.recovery import Recovery
from stream_app.wire.outgoing import OutgoingRecords
from stream_app.worker.deliver_thread import DeliverThread

__all__ = ["Pipeline", "Stages"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Stages:
    """One worker's stages."""

    clock: RecordClock
    align: AlignStage
    isolation: CrashIsolation
    predictor: Predictor
    flood: FloodBreaker
    outgoing: OutgoingRecords
    publish: Publishing
    recovery: Recovery
    tracker: OffsetTracker


class Pipeline:
    """Takes chunks through the stages."""

    def __init__(
        self,
        stages: Stages,
        deliver_thread: DeliverThread,
        observer: Observer,
        *,
        depth: int,
        on_crash: Callable[[BaseException], None],
        on_taken: Callable[[], None] = lambda: None,
        on_delivering: Callable[[int], None] = lambda _: None,
        more_waits: Callable[[], bool] = lambda: False,
    ) -> None:
        """`depth`: batches that may be under way at once; `more_waits`: see `AlignStage.batches`.

        `on_delivering` is called with 1 before a batch is on its way to be delivered, and with -1 when it
        is delivered, on any thread.

        `on_taken` is called when all that a chunk released is on its way to be delivered, `on_crash` once
        at most, both on the thread that computes.
        """
        self._more_waits = more_waits
        self._stages = stages
        self._deliver_thread = deliver_thread
        self._observer = observer
        self._on_taken = on_taken
        self._on_delivering = on_delivering
        self._on_crash = on_crash
        self._slots = threading.Semaphore(depth)
        self._compute_thread = ThreadPoolExecutor(1, "compute")
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def __call__(self, chunk: Chunk) -> Future[None]:
        """Take one chunk, behind those before it; done when all that it released is on its way.

        The event loop does not come by in between: waking it up costs a tenth of a millisecond.
        """
        return self._compute_thread.submit(self._take, chunk)

    def _take(self, chunk: Chunk) -> None:
        try:
            for batch in self._batches(chunk):
                self._on_delivering(1)
                try:
                    delivered = self._deliver_thread.submit(self._deliver, batch)
                except RuntimeError:  # closed while the batch was made
                    self._abandon(batch)
                    return
                delivered.add_done_callback(self._delivered)
            if not self._is_closed:
                self._on_taken()
        except StoppingError as error:
            self._is_closed = True
            log.info("%s; what was unfinished is read again", error)
        except BaseException as error:  # noqa: BLE001 - nothing may end this thread unseen
            self._is_closed = True
            self._on_crash(error)

    def _batches(self, chunk: Chunk) -> Iterator[Batch]:
        """What a chunk releases, each batch computed when fewer than `depth` are under way."""
        batches = self._compute(chunk)
        while True:
            self._slots.acquire()
            batch = None
            try:
                batch = None if self._is_closed else next(batches, None)
            finally:
                if batch is None:  # a crash, too: the chunk behind this one would wait for ever
                    self._slots.release()
            if batch is None:
                return
            yield batch

    def _compute(self, chunk: Chunk) -> Iterator[Batch]:
        stages, timed = self._stages, self._observer.stage
        if chunk.revoked:
            stages.recovery.revoked(chunk.revoked)
            stages.isolation.forget(chunk.revoked)
        if chunk.assigned:
            stages.recovery.assigned(chunk.assigned)
            stages.isolation.assigned(chunk.assigned)
        with timed("align", chunk.records):
            stages.clock(chunk.records)
            stages.align.add(chunk)
        stages.flood.chunk(chunk)
        stages.flood.look()
        for released in stages.align.batches(
            stages.predictor.decode, stages.isolation.batch_limit, self._more_waits
        ):
            batch = self._compute_batch(released)
            if batch is not None:
                yield batch
        stages.isolation.look()
        if not chunk.records:
            stages.recovery.look()

    def _compute_batch(self, released: list[Item]) -> Batch | None:
        """The batch of what was released, or None if nothing of that is to be taken."""
        stages, predictor = self._stages, self._stages.predictor
        items = stages.flood.taken(released)
        while items:
            if predictor.state.conflicted.is_set():
                # Another writer changed a state we hold in memory: finish all batches, forget
                # the states in memory, and read them from the store again.
                self._deliver_thread.settle(None, None)
                predictor.state.forget_all()
            stages.recovery.ready()
            mine, ends = stages.tracker.admit(items)
            batch = predictor.batch(mine, ends, stages.recovery.rebuilding)
            self._observer.tell(BatchBegan(batch))
            try:
                predictor.answer(batch)
                stages.outgoing(batch)
            except StateLostError as error:
                self._abandon(batch)
                stages.recovery.lost(error)
            except HalfAppliedError:
                # The next try first forgets the states in memory, as after a conflict.
                self._abandon(batch)
                predictor.state.conflicted.set()
            except BaseException:
                self._abandon(batch)
                raise
            else:
                if not stages.flood.stops(batch):
                    stages.recovery.admitted(ends)
                    return batch
                # The states in memory hold updates of records that are not taken now.
                stages.tracker.abandoned(batch)
                predictor.state.conflicted.set()
                items = [item.anew() for item in stages.flood.taken(items)]
        return None

    def _deliver(self, batch: Batch) -> None:
        stages, timed = self._stages, self._observer.stage
        with timed("publish", batch.records):
            stages.publish(batch)
        with timed("state", batch.records), self._left_to_recovery():
            if not stages.recovery.is_lost:
                stages.predictor.state.write(batch, stages.publish.suspend)
        self._deliver_thread.finish(batch)

    @contextlib.contextmanager
    def _left_to_recovery(self) -> Iterator[None]:
        """If the store lost the state that a batch builds on, leave its updates to recovery."""
        try:
            yield
        except StateLostError as error:
            self._stages.recovery.lost(error)

    def _delivered(self, _: Future[None]) -> None:
        self._slots.release()
        self._on_delivering(-1)
        if self._timer is None and self._deliver_thread.put_off_seconds is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._set_timer)

    def _set_timer(self) -> None:
        """Have what was put off finished in time where no batch comes any more."""
        put_off = self._deliver_thread.put_off_seconds
        if put_off is not None and self._timer is None:
            self._timer = self._loop.call_later(put_off, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        put_off = self._deliver_thread.put_off_seconds
        if put_off == 0.0:
            self._deliver_thread.flush_soon()
        elif put_off is not None:
            self._set_timer()  # what this was set for is finished, and more was put off since

    def _abandon(self, batch: Batch) -> None:
        self._stages.tracker.abandoned(batch)
        self._observer.tell(BatchAbandoned(batch))

    def close(self) -> None:
        """Take no more chunks; what is on its way to be delivered goes on."""
        self._is_closed = True
        self._compute_thread.shutdown(wait=False, cancel_futures=True)
        self._deliver_thread.close()
