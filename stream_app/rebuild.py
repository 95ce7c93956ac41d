"""Re-reads event topics and applies their updates to the state: nothing is scored or published.

Lost state, a view that is new or has changed, and a warm-up are this one path. It can begin
anywhere at or before the marks and may end in the middle: states take each record once, whatever
they already hold, and the marks say how far each source is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from stream_app.decode import Decode
from stream_app.enrich import EnrichStage
from stream_app.errors import FatalError
from stream_app.logs import get_logger
from stream_app.record_clock import RecordClock
from stream_app.records import Batch, Partition, Record
from stream_app.state import StateStage

__all__ = ["RECORDS_A_STEP", "Rebuild", "Work", "unwatched"]

log = get_logger(__name__)

RECORDS_A_STEP: Final = 4_096
_POLL_SECONDS = 0.1
_REQUEST_SECONDS = 10.0


#: Entered with a stage's name and its records, while they are worked on.
Work = Callable[[str, Sequence[Record]], AbstractContextManager[object]]


def unwatched(_stage: str, _records: Sequence[Record]) -> AbstractContextManager[object]:
    """Nobody looks."""
    return nullcontext()


class _Goal:
    """How far a partition is applied and how far it is to be."""

    __slots__ = ("at", "target")

    def __init__(self, at: int, target: int) -> None:
        self.at = at
        """Next offset to apply."""
        self.target = target
        """Offset to stop before."""


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
        self._goals: dict[Partition, _Goal] = {}
        self._moved = False
        self._changed = threading.Condition()
        self._applying = threading.Lock()
        """Held while records are applied: what has ended is not written afterwards."""
        self._batches = 0

    def begin(self, partition: Partition, start: int, target: int, *, applied: int) -> None:
        """Apply the partition's records from `start` on, up to and without `target`.

        `applied`: the mark that the store holds of it now; -1 for none.
        """
        with self._changed:
            self._goals[partition] = _Goal(start, target)
            partition.starts.rebuilt_records = 0
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
        messages = consumer.consume(RECORDS_A_STEP, _POLL_SECONDS)
        with self._applying:
            with self._changed:
                behind = {p: goal for p, goal in behind.items() if self._goals.get(p) is goal}
            try:
                self._apply(consumer, behind, messages)
            except BaseException:
                with self._changed:
                    self._moved = True  # these are to be read again
                raise
        return True

    def _assign(self, behind: Mapping[Partition, _Goal]) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(
                {**self._properties, "group.id": self._group}, logger=get_logger("librdkafka")
            )
        places = [TopicPartition(p.topic, p.number, goal.at) for p, goal in behind.items()]
        self._consumer.assign(places)
        return self._consumer

    def _apply(
        self, consumer: Consumer, behind: Mapping[Partition, _Goal], messages: Sequence[Any]
    ) -> None:
        by_place = {(p.topic, p.number): p for p in behind}
        # As they are now: others may move them meanwhile, and nothing may be left out.
        targets = {p: goal.target for p, goal in behind.items()}
        reached: dict[Partition, int] = {}
        records = []
        for message in messages:
            partition = by_place.get((message.topic(), message.partition()))
            error = message.error()
            if partition is None:
                continue
            offset = message.offset()
            if error is not None:
                self._note(consumer, error, partition, behind[partition])
                if error.code() == KafkaError._PARTITION_EOF:
                    # Behind the last record there may be markers; they count as applied.
                    reached[partition] = min(offset, targets[partition])
            elif offset >= targets[partition]:
                reached[partition] = targets[partition]
            else:
                records.append(Record.of(partition, message))
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
            log.warning("kafka, while the state is rebuilt: %s", error.str())
            return
        place = TopicPartition(partition.topic, partition.number)
        low, _ = consumer.get_watermark_offsets(place, timeout=_REQUEST_SECONDS)
        if low <= goal.at:
            raise FatalError(
                f"the state of {partition} cannot be rebuilt: offset {goal.at} is not in its log"
            )
        log.error(
            "gone by retention: the state lacks offsets %d to %d of %s",
            goal.at, min(low, goal.target) - 1, partition,
        )  # fmt: skip
        with self._changed:
            partition.log_start = low
            goal.at = min(low, goal.target)
            self._moved = True

    def _close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
