"""Re-reads event topics and applies their updates to the state: nothing is scored or published.

Lost state, a view that is new or has changed, and a warm-up are this one path. It can begin
anywhere at or before the marks and may end in the middle: states take each record once, whatever
they already hold, and the marks say how far each source is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream_app.alignment.record_clock import RecordClock
from stream_app.errors import FatalError, ServiceAwayError
from stream_app.kafka.consumer_log import ConsumerLog
from stream_app.kafka.errors import failure
from stream_app.kafka.slices import messages
from stream_app.predictor.decode import Decode
from stream_app.predictor.enrich import EnrichStage
from stream_app.records.batch import Batch
from stream_app.records.partition import Partition
from stream_app.records.record import Record
from stream_app.state.stage import StateStage

__all__ = ["RECORDS_A_STEP", "Rebuild", "Work", "unwatched"]

log = logging.getLogger(__name__)

RECORDS_A_STEP: Final = 4_096
_POLL_SECONDS = 0.1
_REQUEST_SECONDS = 10.0
_MOST_HALVINGS = 4
"""The starts are counted until the rebuilding is over: it must not go record by record to its end."""
_ENDED_SECONDS = 30.0
"""A log is believed to end where it does after so long: brokers that fail over may be behind."""


#: A message, the partition it is of, and the record in it unless it is an event of the library's.
_Read = tuple[Partition, Any, Record | None]

#: Entered with a stage's name and its records, while they are worked on.
Work = Callable[[str, Sequence[Record]], AbstractContextManager[object]]


def unwatched(_stage: str, _records: Sequence[Record]) -> AbstractContextManager[object]:
    """Nobody looks."""
    return nullcontext()


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


class Rebuild:
    """Applies partitions from an offset up to another, which may be moved meanwhile.

    `step` is called by one thread; everything else may be called by others.
    """

    def __init__(
        self,
        consumer_properties: Mapping[str, Any],
        clock: RecordClock,
        decode: Decode,
        enrich: EnrichStage,
        state: StateStage,
        *,
        on_records: Callable[[int], None] = lambda _: None,
        work: Work = unwatched,
    ) -> None:
        """`consumer_properties`: librdkafka's; it joins no group and commits nothing."""
        self._properties = {
            name: value
            for name, value in consumer_properties.items()
            if not name.startswith("group.") and "assignment" not in name
        }
        self._group = f"{consumer_properties['group.id']}-rebuild"
        self._clock = clock
        self._decode = decode
        self._enrich = enrich
        self._state = state
        self._on_records = on_records
        self._work = work
        self._consumer: Consumer | None = None
        self._library_log = ConsumerLog()
        self._goals: dict[Partition, _Goal] = {}
        self._moved = False
        self._changed = threading.Condition()
        self._applying = threading.Lock()
        """Held while records are applied: what has ended is not written afterwards."""
        self._batches = 0

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

        `source_id`: what its fences are kept under. `applied`: the mark that the store holds of it
        now; -1 for none. After `failed_starts` fewer records are taken at once: memory may be short.
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
        consumer = self._consumer
        if consumer is None or moved:
            consumer = self._assign(behind)
        _check_ends(behind)
        read = self._read(consumer, behind)
        with self._applying:
            with self._changed:
                behind = {p: goal for p, goal in behind.items() if self._goals.get(p) is goal}
            try:
                self._apply(consumer, behind, read)
            except BaseException:
                with self._changed:
                    self._moved = True  # these are to be read again
                raise
        return True

    def _assign(self, behind: Mapping[Partition, _Goal]) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(
                ConsumerLog.properties({**self._properties, "group.id": self._group}),
                logger=self._library_log,
            )
        places = [TopicPartition(p.topic, p.number, goal.at) for p, goal in behind.items()]
        self._consumer.assign(places)
        return self._consumer

    def _read(self, consumer: Consumer, behind: Mapping[Partition, _Goal]) -> list[_Read]:
        by_place = {(p.topic, p.number): p for p in behind}
        read: list[_Read] = []
        for message in messages(
            consumer,
            _step_records(behind.values()),
            _POLL_SECONDS,
            lambda: self._library_log.check(behind),
        ):
            partition = by_place.get((message.topic(), message.partition()))
            if partition is not None:
                record = None if message.error() else Record.of(partition, message)
                read.append((partition, message, record))
        return read

    def _apply(
        self, consumer: Consumer, behind: Mapping[Partition, _Goal], read: Sequence[_Read]
    ) -> None:
        # As they are now: others may move them meanwhile, and nothing may be left out.
        targets = {p: goal.target for p, goal in behind.items()}
        reached: dict[Partition, int] = {}
        records = []
        for partition, message, record in read:
            if partition not in behind:
                continue
            offset = message.offset()
            if record is None:
                error = message.error()
                self._note(consumer, error, partition, behind[partition])
                if error.code() == KafkaError._PARTITION_EOF:
                    # Behind the last record there may be markers; they count as applied.
                    reached[partition] = min(offset, targets[partition])
                    if offset < targets[partition]:
                        goal = behind[partition]
                        goal.ended_at = goal.ended_at or time.monotonic()
                continue
            behind[partition].ended_at = None
            if offset >= targets[partition]:
                reached[partition] = targets[partition]
            else:
                records.append(record)
                reached[partition] = offset + 1
        if reached:
            with self._work("rebuild", records):
                self._write(records, reached)
            self._on_records(len(records))
            with self._changed:
                for partition, at in reached.items():
                    behind[partition].at = at
                    # The consumer is past the target: it begins again should that move.
                    self._moved = self._moved or at >= targets[partition]
                self._changed.notify_all()

    def _write(self, records: Sequence[Record], reached: Mapping[Partition, int]) -> None:
        self._batches += 1
        self._clock(records)
        ends = {partition: at - 1 for partition, at in reached.items()}
        batch = Batch(self._batches, self._decode(records), ends=ends)
        try:
            self._enrich.alone(batch)
            self._state.write(batch)
        finally:
            # Others write beside this one: nothing is kept from batch to batch.
            self._state.forget_all()

    def _note(
        self, consumer: Consumer, error: KafkaError, partition: Partition, goal: _Goal
    ) -> None:
        if error.code() == KafkaError._PARTITION_EOF:
            return
        if error.code() != KafkaError._AUTO_OFFSET_RESET:
            _tell(error, partition)
            return
        place = TopicPartition(partition.topic, partition.number)
        try:
            low, _ = consumer.get_watermark_offsets(place, timeout=_REQUEST_SECONDS)
        except KafkaException as failed:
            _tell(failed.args[0], partition)
            with self._changed:
                self._moved = True  # it is read from there again, and asked again
            return
        if low <= goal.at:
            raise FatalError(
                f"the state of {partition} cannot be rebuilt: offset {goal.at} is not in its log"
            )
        log.error(
            "gone by retention: the state lacks offsets %d to %d of %s",
            goal.at, min(low, goal.target) - 1, partition,
        )  # fmt: skip
        with self._changed:
            goal.at = min(low, goal.target)
            self._moved = True

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None


def _step_records(goals: Iterable[_Goal]) -> int:
    """How many records to take at once: fewer after starts that got nowhere, memory may be short."""
    worst = max((goal.failed_starts for goal in goals), default=0)
    return RECORDS_A_STEP >> min(worst, _MOST_HALVINGS)


def _tell(error: KafkaError, partition: Partition) -> None:
    """What passes goes to the log, and the consumer tries again; anything else is raised.

    A refusal that brokers also give for a moment is left to the client thread, which reads the same
    topics and knows how long it lasts.
    """
    failed = failure(error, f"reading {partition} again for its state")
    if not isinstance(failed, ServiceAwayError):
        raise failed
    log.warning("while the state is rebuilt: %s", failed)


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
