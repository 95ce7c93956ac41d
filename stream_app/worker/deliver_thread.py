"""The thread that delivers batches in order, and on request finishes those that were put off.

A transaction holds the batches of an interval, so a batch that is published and written may still
wait to be finished. Whoever has to wait until nothing is under way (a rebalance, a conflict, a
stop) asks for it to be finished now, on this thread and behind the batches before it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor

from stream_app.delivery.publish import Publishing
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.observer.events import BatchFinished
from stream_app.observer.observer import Observer
from stream_app.records.batch import Batch
from stream_app.records.partition import Partition

__all__ = ["DeliverThread"]


class DeliverThread:
    """Delivers and finishes batches in their order; after a crash it delivers nothing more."""

    def __init__(
        self,
        publish: Publishing,
        tracker: OffsetTracker,
        observer: Observer,
        *,
        on_crash: Callable[[BaseException], None],
    ) -> None:
        """`on_crash` is called on this thread, once at most."""
        self._publish = publish
        self._tracker = tracker
        self._observer = observer
        self._on_crash = on_crash
        self._crashed = False
        self._is_closed = False
        self._closing = threading.Lock()
        self._thread = ThreadPoolExecutor(1, "deliver")

    def submit(self, deliver: Callable[[Batch], None], batch: Batch) -> Future[None]:
        """Let `deliver` be called with the batch, when those before it are delivered.

        Any thread may call it; raises `RuntimeError` when no more batches are taken.
        """
        with self._closing:
            if self._is_closed:
                raise RuntimeError("no more batches are delivered")
            return self._thread.submit(self._deliver, deliver, batch)

    def _deliver(self, deliver: Callable[[Batch], None], batch: Batch) -> None:
        if self._crashed:
            self._tracker.abandoned(batch)
            return
        try:
            deliver(batch)
        except BaseException as error:  # noqa: BLE001 - nothing may end this thread unseen
            self._crash(error, batch)

    def finish(self, batch: Batch) -> None:
        """A batch is published and written: finish it, or put that off; called on this thread."""
        with self._observer.stage("finish", batch.records):
            self._finished(self._publish.finish(batch))

    @property
    def put_off_seconds(self) -> float | None:
        """How long until `flush_soon` is due; None where nothing was put off."""
        return self._publish.put_off_seconds

    def flush_soon(self) -> None:
        """Finish what was put off, once all batches before it are delivered; returns at once."""
        if self._publish.commits_offsets:
            with contextlib.suppress(RuntimeError):  # it was closed: nothing is put off
                self._thread.submit(self._flush)

    def settle(self, partitions: Collection[Partition] | None, timeout: float | None) -> bool:
        """Finish what was put off and wait until no batch with these partitions is under way.

        See `stream_app.kafka.offset_tracker.Settle`.
        """
        self.flush_soon()
        return self._tracker.settle(partitions, timeout)

    def close(self) -> None:
        """Take no more batches; what is on its way goes on."""
        with self._closing:
            self._is_closed = True
        # Behind the last batch: one that came later would be put off, and never finished.
        self.flush_soon()
        self._thread.shutdown(wait=False)

    def _flush(self) -> None:
        if self._crashed:
            return
        try:
            with self._observer.stage("finish", ()):
                self._finished(self._publish.flush())
        except BaseException as error:  # noqa: BLE001 - nothing may end this thread unseen
            self._crash(error)

    def _finished(self, batches: list[Batch]) -> None:
        for batch in batches:
            self._tracker.finished(batch, committed=self._publish.commits_offsets)
            self._observer.tell(BatchFinished(batch))

    def _crash(self, error: BaseException, *batches: Batch) -> None:
        self._crashed = True
        try:
            # Report the error before the batches are given back: whoever waits for them then
            # finds it reported.
            self._on_crash(error)
        finally:
            put_off = self._publish.abandon()
            for batch in {id(batch): batch for batch in (*batches, *put_off)}.values():
                self._tracker.abandoned(batch)
