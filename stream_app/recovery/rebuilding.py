"""Which partitions have their state rebuilt now, and the thread that rebuilds them (`log_replay`)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from stream_app.errors import StoppingError
from stream_app.features.stores import StateLostError
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.observer.events import PartitionsRebuilding
from stream_app.observer.observer import Observer
from stream_app.records.partition import Partition
from stream_app.recovery.log_replay import LogReplay

__all__ = ["Rebuilding"]

_WAIT_SECONDS = 0.2


class Rebuilding:
    """Begins and forgets partitions for the thread that computes; applies their logs on its own."""

    def __init__(
        self,
        log_replay: LogReplay,
        tracker: OffsetTracker,
        observer: Observer,
        *,
        on_lost: Callable[[StateLostError], None],
        on_crash: Callable[[BaseException], None],
    ) -> None:
        """`on_lost` and `on_crash` are called by the thread that rebuilds.

        The first where the store lost what was applied, the second when it cannot go on.
        """
        self._log_replay = log_replay
        self._tracker = tracker
        self._observer = observer
        self._on_lost = on_lost
        self._on_crash = on_crash
        self._partitions: set[Partition] = set()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def partitions(self) -> frozenset[Partition]:
        """Those whose state is being rebuilt."""
        return frozenset(self._partitions)

    def begin(
        self, partition: Partition, start: int, target: int, *, source_id: int, applied: int
    ) -> None:
        """Rebuild the state of a partition, see `LogReplay.begin`; `go_on` once all have begun."""
        self._partitions.add(partition)
        self._tracker.set_rebuilding(partition, True)
        self._log_replay.begin(
            partition,
            start,
            target,
            source_id=source_id,
            applied=applied,
            failed_starts=self._tracker.failed_starts(partition),
        )

    def go_on(self) -> None:
        """Tell how many partitions there are, and see that the thread runs."""
        self._observer.tell(PartitionsRebuilding(len(self._partitions)))
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="rebuild", daemon=True)
            self._thread.start()

    def left(self, positions: Mapping[Partition, int]) -> int:
        """How many offsets it is behind these positions, partitions that were given away left out."""
        self.forget([p for p in self._partitions if self._tracker.is_revoked(p)])
        for partition in self._partitions:
            self._log_replay.extend(partition, positions[partition])
        return self._log_replay.remaining(self._partitions)

    def forget(self, partitions: Sequence[Partition]) -> None:
        """Rebuild these no longer, wherever they are; nothing of them is written afterwards."""
        mine = [partition for partition in partitions if partition in self._partitions]
        if mine:
            self._log_replay.end(mine)
            self._partitions.difference_update(mine)
            for partition in mine:
                self._tracker.set_rebuilding(partition, False)
            self._observer.tell(PartitionsRebuilding(len(self._partitions)))

    def wait(self) -> None:
        """Return when it got on, or after a while; raises `StoppingError`."""
        if self._stopping.is_set():
            raise StoppingError("stopped while the state is rebuilt")
        self._log_replay.wait(_WAIT_SECONDS)

    def stop(self) -> None:
        """End every wait and the thread."""
        self._stopping.set()

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended, not longer than so many seconds."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    if not self._log_replay.step():
                        self._log_replay.wait(_WAIT_SECONDS)
                except StateLostError as error:
                    self._on_lost(error)
                    self._log_replay.wait(_WAIT_SECONDS)
        except StoppingError:
            pass
        except BaseException as error:  # noqa: BLE001 - nothing may end this thread unseen
            self._on_crash(error)
