"""Re-reads event topics and applies their updates to the state: nothing is scored or published.

Lost state, a view that is new or has changed, and a warm-up all take this path. A replay can begin
anywhere at or before the marks and may end at any offset: states apply each record once, whatever
they already hold, and the marks say how far each source is applied.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError

from stream_app.alignment.record_clock import RecordClock
from stream_app.errors import FatalError, ServiceAwayError
from stream_app.kafka.consumer_log import ConsumerLog
from stream_app.kafka.errors import failure
from stream_app.kafka.log_reader import LogReader, NoRecord, reading_properties
from stream_app.observer.events import RecordsRebuilt
from stream_app.observer.observer import Observer
from stream_app.predictor.predictor import Predictor
from stream_app.records.log_fields import about
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId, id_of
from stream_app.records.record import Record

__all__ = ["RECORDS_A_STEP", "LogReplay"]

log = logging.getLogger(__name__)

RECORDS_A_STEP: Final = 4_096
_POLL_SECONDS = 0.1
_MOST_HALVINGS = 4
"""Failed starts are counted until the rebuilding is over. Without this limit it could end up reading
record by record to the end."""
_ENDED_SECONDS = 30.0
"""How long a log must end before the target until that end is believed: brokers that fail over may
be behind."""


#: Offsets of a partition, from the first up to and without the second, and the record at their end.
_Read = tuple[Partition, int, int, Record | NoRecord | None]


class _Goal:
    """How far a partition is applied and how far it is to be."""

    __slots__ = ("at", "ended_at", "failed_starts", "target")

    def __init__(self, at: int, target: int, failed_starts: int) -> None:
        self.at = at
        """Next offset to apply."""
        self.target = target
        """Offset to stop before."""
        self.failed_starts = failed_starts
        """How often the partition was begun without getting anywhere."""
        self.ended_at: float | None = None
        """When the log was found to end before the target; None where it does not."""


class LogReplay:
    """Applies partitions from an offset up to another, which may be moved meanwhile.

    `step` is called by one thread; everything else may be called by others.
    """

    def __init__(
        self,
        consumer_properties: Mapping[str, Any],
        clock: RecordClock,
        predictor: Predictor,
        observer: Observer,
        *,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """`consumer_properties`: librdkafka's; it joins no group and commits nothing.

        `before` is called each time that logs begin to be read.
        """
        group = f"{consumer_properties['group.id']}-rebuild"
        self._properties = reading_properties(consumer_properties, group)
        self._clock = clock
        self._predictor = predictor
        self._state = predictor.state
        self._observer = observer
        self._before = before
        self._reader: LogReader | None = None
        self._library_log = ConsumerLog()
        self._goals: dict[Partition, _Goal] = {}
        self._moved = False
        self._changed = threading.Condition()
        self._applying = threading.Lock()
        """This lock is held while records are applied, so that `end` returns only when nothing more
        of its partitions is written."""

    def begin(
        self,
        partition: Partition,
        start: int,
        target: int,
        *,
        source_id: int,
        applied: int,
        failed_starts: int = 0,
    ) -> None:
        """Apply the partition's records from `start` on, up to and without `target`.

        `source_id`: the id that the partition's fences are kept under. `applied`: the mark that the
        store holds for the partition now; -1 for none. `failed_starts`: the more there were, the
        fewer records are taken at once, because memory may be short.
        """
        with self._changed:
            self._goals[partition] = _Goal(start, target, failed_starts)
            self._state.fencing.register(partition, source_id)
            self._state.expect(partition, applied)
            self._moved = True
            self._changed.notify_all()

    def extend(self, partition: Partition, target: int) -> None:
        """Go on up to `target`."""
        with self._changed:
            goal = self._goals.get(partition)
            if goal is not None and target > goal.target:
                goal.target = target
                self._changed.notify_all()

    def end(self, partitions: Sequence[Partition]) -> None:
        """Forget partitions, wherever they are; nothing of them is written afterwards."""
        with self._applying, self._changed:
            for partition in partitions:
                self._goals.pop(partition, None)
            self._state.expect_nothing(partitions)
            self._moved = True
            self._changed.notify_all()

    def remaining(self, partitions: Iterable[Partition]) -> int:
        """Offsets between what is applied and the targets, of these partitions together."""
        with self._changed:
            goals = [self._goals[p] for p in partitions if p in self._goals]
            return sum(max(0, goal.target - goal.at) for goal in goals)

    def wait(self, seconds: float) -> None:
        """Return when something was applied or has changed, at the latest after `seconds`."""
        with self._changed:
            self._changed.wait(seconds)

    def step(self) -> bool:
        """Read and apply some records; return whether there is more to do.

        Raises `StateLostError` where the store lost what was applied.
        """
        with self._changed:
            behind = {p: goal for p, goal in self._goals.items() if goal.at < goal.target}
            moved, self._moved = self._moved, False
        if not behind:
            self._close()
            return False
        reader = self._reader or self._open()
        if moved or not all(map(reader.is_reading, map(id_of, behind))):
            reader.assign({id_of(p): (goal.at, goal.target) for p, goal in behind.items()})
        _check_ends(behind)
        read = self._read(reader, behind)
        with self._applying:
            with self._changed:
                behind = {p: goal for p, goal in behind.items() if self._goals.get(p) is goal}
            try:
                self._apply(behind, read)
            except BaseException:
                with self._changed:
                    self._moved = True  # these are to be read again
                raise
        return True

    def _open(self) -> LogReader:
        self._before()
        self._reader = LogReader(
            Consumer(ConsumerLog.properties(self._properties), logger=self._library_log),
            check=lambda: self._library_log.check(list(self._goals)),
            on_error=_tell,
        )
        return self._reader

    def _read(self, reader: LogReader, behind: Mapping[Partition, _Goal]) -> list[_Read]:
        by_id = {id_of(partition): partition for partition in behind}
        read: list[_Read] = []
        for step in reader.read(_step_records(behind.values()), _POLL_SECONDS):
            partition = by_id.get(step.partition)
            if partition is not None:
                record = None if step.message is None else Record.of(partition, step.message)
                found = step.why if record is None else record
                read.append((partition, step.first, step.end, found))
        return read

    def _apply(self, behind: Mapping[Partition, _Goal], read: Sequence[_Read]) -> None:
        # Control records may follow the last record; their offsets count as applied.
        reached: dict[Partition, int] = {}
        removed: dict[Partition, int] = {}
        records = []
        for partition, first, end, found in read:
            if partition not in behind:
                continue
            goal = behind[partition]
            if found is NoRecord.REMOVED:
                log.error(
                    "gone by retention: the state lacks offsets %d to %d of %s",
                    first, end - 1, partition,
                    extra=about(partition, first),
                )  # fmt: skip
                removed[partition] = end
                continue
            reached[partition] = end
            if isinstance(found, Record):
                records.append(found)
            # Compare with the target as it is now: other threads may move it meanwhile.
            has_ended = found is NoRecord.END and end < goal.target
            goal.ended_at = (goal.ended_at or time.monotonic()) if has_ended else None
        if reached:
            with self._observer.stage("rebuild", records):
                self._write(records, reached)
            self._observer.tell(RecordsRebuilt(len(records)))
        with self._changed:
            for partition, end in removed.items():
                behind[partition].at = end
            for partition, end in reached.items():
                behind[partition].at = max(end, removed.get(partition, 0))
            self._changed.notify_all()

    def _write(self, records: Sequence[Record], reached: Mapping[Partition, int]) -> None:
        self._clock(records)
        ends = {partition: at - 1 for partition, at in reached.items()}
        try:
            self._state.write(self._predictor.apply(records, ends))
        finally:
            # Others write the same states, so none is kept in memory from batch to batch.
            self._state.forget_all()

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _step_records(goals: Iterable[_Goal]) -> int:
    """How many records to take at once: fewer after starts that got nowhere, memory may be short."""
    worst = max((goal.failed_starts for goal in goals), default=0)
    return RECORDS_A_STEP >> min(worst, _MOST_HALVINGS)


def _tell(error: KafkaError, partition: PartitionId | None, _offset: int) -> None:
    """What passes goes to the log, and the consumer tries again; anything else is raised.

    A refusal that brokers also give for a moment is left to the client thread, which reads the same
    topics and knows how long it lasts.
    """
    if partition is None:
        return
    failed = failure(error, f"reading {partition} again for its state")
    if not isinstance(failed, ServiceAwayError):
        raise failed
    log.warning("while the state is rebuilt: %s", failed, extra=about(partition))


def _check_ends(behind: Mapping[Partition, _Goal]) -> None:
    """Raise where a log has ended before what was processed of it: nothing more will come."""
    now = time.monotonic()
    for partition, goal in behind.items():
        if goal.ended_at is not None and now - goal.ended_at > _ENDED_SECONDS:
            raise FatalError(
                f"the state of {partition} cannot be rebuilt: its log ends at offset {goal.at}, and "
                f"records up to offset {goal.target - 1} were processed. The brokers lost what they "
                "had acknowledged: give `application` another name to process the topics again"
            )
