"""Stage recovery: no record is scored on a state that lacks what came before it.

Beside the state the store keeps, for each source, the offset through which its records are applied
(its mark). A mark behind the offset that a partition is read from means that the store lost what it
had acknowledged: a failover to a replica that was behind, an append-only file cut short, FLUSHALL.
An absent one means an empty store or a view that is new or has changed. Either way the records in
between are read again and only applied (`log_replay`), and until that has caught up a fallback serves
with the reason `state-rebuilding`, or records wait, by setting.

While a partition is rebuilt its records update nothing by themselves: a state takes the records of
a source in order, so a later one must not come first. The rebuilding follows up to where the
partition is, and takes over from there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from stream_app.errors import FatalError, StoppingError
from stream_app.features.stores import StateLostError
from stream_app.kafka.offset_tracker import OffsetTracker, Settle
from stream_app.observer.events import PartitionsRebuilding, WaitingBegan, WaitingEnded
from stream_app.observer.observer import Observer
from stream_app.records.log_fields import about
from stream_app.records.partition import Partition
from stream_app.records.start_position import StartPosition
from stream_app.recovery.log_replay import LogReplay
from stream_app.state.stage import StateStage

__all__ = ["Recovery"]

log = logging.getLogger(__name__)

_CLOSE_RECORDS = 2_000
"""Records wait for a rebuilding that is this close to them. If they went on, it might follow them for
ever and never catch up."""
_WAIT_SECONDS = 0.2
_LOOK_SECONDS = 0.5
"""How often an idle worker looks."""


class Recovery:
    """Watches over the state of the partitions held.

    `rebuild` runs on a thread of its own; `lost` and `stop` may be called by any thread, everything
    else by the one that computes.
    """

    def __init__(
        self,
        state: StateStage,
        tracker: OffsetTracker,
        settle: Settle,
        rebuild: LogReplay,
        *,
        mode: Literal["fallback", "wait"],
        in_hand_records: int,
        observer: Observer,
        on_crash: Callable[[BaseException], None],
    ) -> None:
        """`in_hand_records`: how many records of a partition its previous owner may still have in hand
        when it is revoked. `on_crash` is called by the thread that rebuilds, when it cannot go on.
        """
        self._state = state
        self._tracker = tracker
        self._settle = settle
        self._rebuild = rebuild
        self._rebuilding: set[Partition] = set()
        self._mode = mode
        self._in_hand = in_hand_records
        self._observer = observer
        self._on_crash = on_crash
        self._starts: dict[Partition, StartPosition] = {}
        """Start position of each partition held; empty where no view is declared."""
        self._positions: dict[Partition, int] = {}
        """For each partition held, the next offset that has not entered the pipeline, or the offset of
        the control records right before it."""
        self._looked_at = 0.0
        self._lost = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def lost(self, error: StateLostError) -> None:
        """The store lost something: look before the next batch."""
        if not self._lost.is_set():
            log.warning("the state is not what it was: %s", error)
        self._lost.set()

    @property
    def is_lost(self) -> bool:
        """Whether the store lost something that was not looked for yet.

        Until then nothing may be written: the next records of a partition would hide that those
        before them are missing.
        """
        return self._lost.is_set()

    @property
    def rebuilding(self) -> frozenset[Partition]:
        """The partitions whose state is being rebuilt now: what their records read would be old."""
        return frozenset(self._rebuilding)

    def stop(self) -> None:
        """End every wait and the rebuilding."""
        self._stopping.set()

    def join(self, seconds: float) -> None:
        """Wait until the rebuilding has ended, not longer than so many seconds."""
        if self._thread is not None:
            self._thread.join(seconds)

    def assigned(self, starts: Sequence[StartPosition]) -> None:
        """Partitions were assigned: check that the state has reached the offsets they are read from.

        Raises `FatalError` where old records would be scored on a state that holds later records.
        """
        partitions = [start.partition for start in starts]
        if self._state.has_views:
            self._starts.update(zip(partitions, starts, strict=True))
            self._register(partitions)
            for start, applied in zip(starts, self._state.applied(partitions), strict=True):
                # The state counts records only, not the control records behind them.
                self._positions[start.partition] = start.records_end
                _check_origin(start, applied)
                had_an_owner = start.committed_by != "nobody" or applied >= 0
                in_hand = self._in_hand if had_an_owner else 0
                ahead_until = max(applied + 1, start.offset) + in_hand
                self._state.fencing.set_ahead_until(start.partition, ahead_until)
        else:
            for partition in partitions:
                self._tracker.start_count(partition).rebuilding = False
        self._tracker.confirm([start for start in starts if start.committed_by != "worker"])
        if self._state.has_views:
            self._look(partitions)

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Partitions were revoked: their next owner looks after them."""
        for partition in partitions:
            self._starts.pop(partition, None)
            self._positions.pop(partition, None)
        self._state.expect_nothing(partitions)
        self._forget(partitions)

    def look(self) -> None:
        """The worker is idle: check whether the store still holds what it acknowledged."""
        now = time.monotonic()
        if not self._state.has_views or now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        try:
            self._state.check()
        except StateLostError as error:
            self.lost(error)
        self.ready()

    def ready(self) -> None:
        """Return when the next batch may begin: states are as they should be, or a fallback serves."""
        while True:
            if self._lost.is_set():
                self._look_again()
            if self._rebuilding:
                self._follow()
            if not self._lost.is_set():
                return

    def _look_again(self) -> None:
        self._settle(None, None)
        self._state.forget_all()
        self._lost.clear()
        held = [p for p in self._positions if not self._tracker.is_revoked(p)]
        # Forget them before the store is reopened, so that a step under way is not written to the
        # generation that is opened.
        self._forget(held)
        self._state.expect_nothing(held)
        self._state.reopen()
        self._register(held)
        self._look(held)
        if not self._rebuilding:
            log.info("the state holds what was read: nothing is to be rebuilt")

    def _register(self, partitions: Sequence[Partition]) -> None:
        self._state.register({p: self._starts[p].log_start for p in partitions})

    def admitted(self, ends: Mapping[Partition, int]) -> None:
        """Records have begun their way, of each partition up to an offset."""
        for partition, end in ends.items():
            self._positions[partition] = end + 1

    def _look(self, partitions: Sequence[Partition]) -> None:
        """Begin to rebuild partitions whose state is behind; expect the marks of the others."""
        behind: list[tuple[Partition, int, int]] = []
        for partition, applied in zip(partitions, self._state.applied(partitions), strict=True):
            position, start = self._positions[partition], applied + 1
            log_start = self._starts[partition].log_start
            if start < log_start < position:
                log.error(
                    "gone by retention: the state lacks offsets %d to %d of %s",
                    start, log_start - 1, partition,
                    extra=about(partition, start),
                )  # fmt: skip
            start = max(start, log_start)
            if start < position:
                behind.append((partition, start, applied))
            else:
                self._state.expect(partition, applied)
                self._tracker.start_count(partition).rebuilding = False
        if not behind:
            return
        # What is under way of these partitions was enriched with the state they had.
        self._settle([partition for partition, *_ in behind], None)
        records = sum(self._positions[partition] - start for partition, start, _ in behind)
        log.warning(
            "the state of %d partitions is rebuilt from %d offsets of their logs; meanwhile %s",
            len(behind), records,
            "a fallback serves" if self._mode == "fallback" else "their records wait",
        )  # fmt: skip
        for partition, start, applied in behind:
            self._rebuilding.add(partition)
            starts = self._tracker.start_count(partition)
            starts.rebuilding = True
            starts.rebuilt_records = 0
            self._state.expect_nothing([partition])
            self._rebuild.begin(
                partition,
                start,
                self._positions[partition],
                source_id=self._state.fencing[partition].source_id,
                applied=applied,
                failed_starts=starts.found,
            )
        self._observer.tell(PartitionsRebuilding(len(self._rebuilding)))
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="rebuild", daemon=True)
            self._thread.start()

    def _follow(self) -> None:
        """Let the rebuilding come up to where the partitions are; take over what has arrived."""
        left = self._wait_for_it()
        if not left and self._rebuilding:
            # The states in memory were read while the rebuilding wrote.
            self._settle(None, None)
            self._state.forget_all()
            arrived = list(self._rebuilding)
            self._forget(arrived)
            for partition in arrived:
                self._state.expect(partition, self._positions[partition] - 1)
            log.info("the state is rebuilt: %d partitions are where their logs are", len(arrived))

    def _wait_for_it(self) -> int:
        """Wait while records may not go on beside the rebuilding; return how far behind it is."""
        waiting, left = False, 0
        try:
            while left := self._left():
                if self._lost.is_set() or not (self._mode == "wait" or left <= _CLOSE_RECORDS):
                    break
                if not waiting:
                    waiting = True
                    self._observer.tell(WaitingBegan("state", "it is rebuilt from the log"))
                if self._stopping.is_set():
                    raise StoppingError("stopped while the state is rebuilt")
                self._rebuild.wait(_WAIT_SECONDS)
            return left
        finally:
            if waiting:
                self._observer.tell(WaitingEnded("state", is_given_up=left > 0))

    def _left(self) -> int:
        """How many offsets the rebuilding is behind the partitions, those given away left out."""
        self._forget([p for p in self._rebuilding if self._tracker.is_revoked(p)])
        for partition in self._rebuilding:
            self._rebuild.extend(partition, self._positions[partition])
        return self._rebuild.remaining(self._rebuilding)

    def _forget(self, partitions: Sequence[Partition]) -> None:
        mine = [partition for partition in partitions if partition in self._rebuilding]
        if mine:
            self._rebuild.end(mine)
            self._rebuilding.difference_update(mine)
            for partition in mine:
                self._tracker.start_count(partition).rebuilding = False
            self._observer.tell(PartitionsRebuilding(len(self._rebuilding)))

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                try:
                    if not self._rebuild.step():
                        self._rebuild.wait(_WAIT_SECONDS)
                except StateLostError as error:
                    self.lost(error)
                    self._rebuild.wait(_WAIT_SECONDS)
        except StoppingError:
            pass
        except BaseException as error:  # noqa: BLE001 - nothing may end this thread unseen
            self._on_crash(error)


def _check_origin(start: StartPosition, applied: int) -> None:
    if applied >= start.offset and start.committed_by != "worker":
        raise FatalError(
            f"{start.partition} is to be read from offset {start.offset}, which no worker committed, "
            f"but the state holds its records through {applied}: they would be scored on "
            "their own future. Give `application` another name to process them again, or set the "
            "group's offset to where it was."
        )
