"""What is noted as it happens: the latest dead letters, and what befell the worker."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from stream_app.observer.events import (
    AlignmentGaveUp,
    BatchFinished,
    CommitFailed,
    MembershipChanged,
    PartitionsRebuilding,
    PartitionStopped,
    PartitionWentOn,
    Rebalanced,
    RecordsGone,
    RecordsSkipped,
    StoppedPartitions,
)
from stream_app.observer.observer import Listener, on
from stream_app.text.foreign import bounded

__all__ = ["Letter", "Notes"]

_LETTERS: Final = 20
_HAPPENINGS: Final = 30
_MESSAGE_CHARACTERS: Final = 500
_GONE_SECONDS: Final = 600.0


class Letter(NamedTuple):
    """What the page says of a dead letter; the record's key and value are not kept."""

    at: float
    """When it was acknowledged, in seconds since the epoch."""
    topic: str
    partition: int
    offset: int
    """Of the record."""
    stage: str
    reason: str
    disposition: str
    message: str


class Happening(NamedTuple):
    """Something that befell the worker."""

    at: float
    """When it happened last, in seconds since the epoch."""
    what: str
    times: int
    """How often in a row."""


class Notes:
    """Listens; any thread may tell and read. A batch without a failure costs one look."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock`: seconds since the epoch."""
        self._clock = clock
        self._lock = threading.Lock()
        self._letters: deque[Letter] = deque(maxlen=_LETTERS)
        self._happenings: deque[Happening] = deque(maxlen=_HAPPENINGS)
        self._gone: dict[str, float] = {}
        self.stopped: Sequence[PartitionStopped] = ()
        """Partitions that the flood breaker has stopped."""
        self._rebuilding = 0
        self._rebuilding_since: float | None = None

    def listeners(self) -> list[Listener]:
        """What is listened to."""
        return [
            on(BatchFinished, self._note_letters),
            on(PartitionsRebuilding, self._note_rebuilding),
            on(RecordsGone, self._note_gone),
            on(Rebalanced, lambda it: self.happened(f"{it.partitions} partitions were {it.kind}")),
            on(MembershipChanged, lambda it: self.happened(it.why) if it.why else None),
            on(AlignmentGaveUp, lambda it: self.happened(
                f"{it.partition} delivers nothing; the others go on without it")),
            on(StoppedPartitions, self._note_stopped),
            on(PartitionStopped, lambda it: self.happened(
                f"{it.partition} is stopped at offset {it.offset}: {it.why}")),
            on(PartitionWentOn, lambda it: self.happened(
                f"{it.partition} goes on at offset {it.offset}")),
            on(CommitFailed, lambda it: self.happened(f"Offsets were not committed: {it.why}")),
            on(RecordsSkipped, lambda it: self.happened(
                f"The new group begins behind {it.records:,} records of {it.partition}")),
        ]  # fmt: skip

    def happened(self, what: str) -> None:
        """Note that something happened, or happened once more."""
        now, what = self._clock(), bounded(what, _MESSAGE_CHARACTERS)
        with self._lock:
            last = self._happenings[-1] if self._happenings else None
            if last is not None and last.what == what:
                self._happenings[-1] = Happening(now, what, last.times + 1)
            else:
                self._happenings.append(Happening(now, what, 1))

    @property
    def rebuilding(self) -> tuple[int, float | None]:
        """Of how many partitions the state is rebuilt, and since when (seconds since the epoch)."""
        return self._rebuilding, self._rebuilding_since

    @property
    def gone(self) -> str:
        """The partitions of which records were deleted unread in the last ten minutes."""
        since = self._clock() - _GONE_SECONDS
        with self._lock:
            return ", ".join(name for name, at in sorted(self._gone.items()) if at > since)

    def letters(self) -> list[dict[str, Any]]:
        """The latest dead letters, newest first."""
        with self._lock:
            return [each._asdict() for each in reversed(self._letters)]

    def happenings(self) -> list[dict[str, Any]]:
        """What happened, newest first."""
        with self._lock:
            return [each._asdict() for each in reversed(self._happenings)]

    def _note_letters(self, finished: BatchFinished) -> None:
        if not finished.failed:
            return
        now = self._clock()
        with self._lock:
            for item in finished.failed[-_LETTERS:]:
                failure, record = item.failure, item.record
                assert failure is not None
                self._letters.append(
                    Letter(
                        now, record.topic, record.partition.number, record.offset, failure.stage,
                        bounded(failure.reason), failure.disposition,
                        bounded(str(failure.message), _MESSAGE_CHARACTERS),
                    )
                )  # fmt: skip

    def _note_stopped(self, told: StoppedPartitions) -> None:
        self.stopped = told.stopped

    def _note_rebuilding(self, told: PartitionsRebuilding) -> None:
        if bool(told.partitions) != bool(self._rebuilding):
            self._rebuilding_since = self._clock() if told.partitions else None
            self.happened(
                f"State is rebuilt from the log, of {told.partitions} partitions"
                if told.partitions
                else "All state is rebuilt"
            )
        self._rebuilding = told.partitions

    def _note_gone(self, told: RecordsGone) -> None:
        with self._lock:
            self._gone[repr(told.partition)] = self._clock()
        self.happened(f"{told.records:,} records of {told.partition} were deleted unread")
