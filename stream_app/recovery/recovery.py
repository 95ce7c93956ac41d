"""Stage recovery: no record is scored on a state that lacks what came before it.

This is what happens when Redis loses state (FLUSHALL, a failover to a replica that was behind, an
append-only file cut short), and when a view is new or has changed:

1. Beside the states the store keeps, for each source partition, the offset through which its records
   are applied: its mark. Each write, and each check that follows a read, is one call of a script
   (`features/stores/redis/compare_and_set.lua`). It compares, in this order: the generation of the
   states; the number each source is registered under; the mark of each source. The marks are those of
   the first view, since a write raises the marks of all views in one step. A generation or a number
   that is another one, or a mark that is behind, raises `StateLostError`; the pipeline gives that to `lost`, and from then on writes nothing. An idle
   worker looks for itself (`look`), and a mark behind the offset that a new partition is read from is
   found when it is assigned.
2. Before the next batch (`ready`), all batches under way are finished, the states in memory are
   forgotten, sources are registered and the marks of all partitions are read again.
3. The log of each partition that is behind is read again from its mark on and only applied, on a
   thread of its own (`rebuilding`, `log_replay`). What retention removed meanwhile is named in the log.
4. Until that has caught up a fallback serves, with the reason `state-rebuilding`, or records wait:
   by the setting `while_rebuilding`, and where there is no fallback they wait.
5. While a partition is rebuilt its records update nothing by themselves: a state takes the records of
   a source in order, so a later one must not come first. The rebuilding follows up to where the
   partition is, and then the pipeline takes over from there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from stream_app.errors import FatalError
from stream_app.features.stores import StateLostError
from stream_app.kafka.offset_tracker import OffsetTracker, Settle
from stream_app.observer.events import WaitingBegan, WaitingEnded
from stream_app.observer.observer import Observer
from stream_app.records.log_fields import about, about_all
from stream_app.records.partition import Partition
from stream_app.records.start_position import StartPosition
from stream_app.recovery.log_replay import LogReplay
from stream_app.recovery.rebuilding import Rebuilding
from stream_app.state.stage import StateStage

__all__ = ["Recovery"]

log = logging.getLogger(__name__)

_CLOSE_RECORDS = 2_000
"""Records wait for a rebuilding that is this close to them. If they went on, it might follow them for
ever and never catch up."""
_LOOK_SECONDS = 0.5
"""How often an idle worker looks."""


class Recovery:
    """Watches over the state of the partitions held.

    `lost` and `stop` may be called by any thread, everything else by the one that computes.
    """

    def __init__(
        self,
        state: StateStage,
        tracker: OffsetTracker,
        settle: Settle,
        log_replay: LogReplay,
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
        self._rebuilding = Rebuilding(
            log_replay, tracker, observer, on_lost=self.lost, on_crash=on_crash
        )
        self._mode = mode
        self._in_hand = in_hand_records
        self._observer = observer
        self._starts: dict[Partition, StartPosition] = {}
        """Start position of each partition held; empty where no view is declared."""
        self._positions: dict[Partition, int] = {}
        """For each partition held, the next offset that has not entered the pipeline, or the offset of
        the control records right before it."""
        self._looked_at = 0.0
        self._lost = threading.Event()

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
        return self._rebuilding.partitions

    def stop(self) -> None:
        """End every wait and the rebuilding."""
        self._rebuilding.stop()

    def join(self, seconds: float) -> None:
        """Wait until the rebuilding has ended, not longer than so many seconds."""
        self._rebuilding.join(seconds)

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
                self._tracker.set_rebuilding(partition, False)
        self._tracker.confirm([start for start in starts if start.committed_by != "worker"])
        if self._state.has_views:
            self._look(partitions)

    def revoked(self, partitions: Sequence[Partition]) -> None:
        """Partitions were revoked: their next owner looks after them."""
        for partition in partitions:
            self._starts.pop(partition, None)
            self._positions.pop(partition, None)
        self._state.expect_nothing(partitions)
        self._rebuilding.forget(partitions)

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
            if self.rebuilding:
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
        self._rebuilding.forget(held)
        self._state.expect_nothing(held)
        self._state.reopen()
        self._register(held)
        self._look(held)
        if not self.rebuilding:
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
                self._tracker.set_rebuilding(partition, False)
        if not behind:
            return
        # What is under way of these partitions was enriched with the state they had.
        self._settle([partition for partition, *_ in behind], None)
        records = sum(self._positions[partition] - start for partition, start, _ in behind)
        log.warning(
            "the state of %d partitions is rebuilt from %d offsets of their logs; meanwhile %s",
            len(behind), records,
            "a fallback serves" if self._mode == "fallback" else "their records wait",
            extra=about_all((partition.topic, partition.number) for partition, *_ in behind),
        )  # fmt: skip
        for partition, start, applied in behind:
            self._state.expect_nothing([partition])
            self._rebuilding.begin(
                partition,
                start,
                self._positions[partition],
                source_id=self._state.fencing[partition].source_id,
                applied=applied,
            )
        self._rebuilding.go_on()

    def _follow(self) -> None:
        """Let the rebuilding come up to where the partitions are; take over what has arrived."""
        left = self._wait_for_it()
        if not left and self.rebuilding:
            # The states in memory were read while the rebuilding wrote.
            self._settle(None, None)
            self._state.forget_all()
            arrived = list(self.rebuilding)
            self._rebuilding.forget(arrived)
            for partition in arrived:
                self._state.expect(partition, self._positions[partition] - 1)
            log.info(
                "the state is rebuilt: %d partitions are where their logs are",
                len(arrived),
                extra=about_all((partition.topic, partition.number) for partition in arrived),
            )

    def _wait_for_it(self) -> int:
        """Wait while records may not go on beside the rebuilding; return how far behind it is."""
        waiting, left = False, 0
        try:
            while left := self._rebuilding.left(self._positions):
                if self._lost.is_set() or not (self._mode == "wait" or left <= _CLOSE_RECORDS):
                    break
                if not waiting:
                    waiting = True
                    self._observer.tell(WaitingBegan("state", "it is rebuilt from the log"))
                self._rebuilding.wait()
            return left
        finally:
            if waiting:
                self._observer.tell(WaitingEnded("state", is_given_up=left > 0))


def _check_origin(start: StartPosition, applied: int) -> None:
    if applied >= start.offset and start.committed_by != "worker":
        raise FatalError(
            f"{start.partition} is to be read from offset {start.offset}, which no worker committed, "
            f"but the state holds its records through {applied}: they would be scored on "
            "their own future. Give `application` another name to process them again, or set the "
            "group's offset to where it was."
        )
