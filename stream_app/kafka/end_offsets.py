"""How far each partition is behind, true also while processing is stuck.

librdkafka's own figures stand still when fetching is paused, so a thread of its own asks the
brokers for the end offsets; the age of the oldest unfinished record is read off the clock when
somebody looks. The same thread looks at what else may change under a worker that is at work or
idle: whether a topic is still the one it was, and whether the group has a partition for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from stream_app.errors import StoppingError
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.kafka.topic_ids import TopicIds
from stream_app.records.partition import Partition
from stream_app.records.places import id_of
from stream_app.waiting.retry import Retry

__all__ = ["EndOffsets", "PartitionLag"]

_REQUEST_SECONDS = 5.0


class PartitionLag(NamedTuple):
    """How far behind the worker is on a partition."""

    topic: str
    partition: int
    records: int | None
    """Records not finished yet; None while the end of the partition is unknown."""
    seconds: float
    """Age of the oldest record not finished yet; 0 where there is none."""


class EndOffsets:
    """Keeps the end offsets of the assigned partitions, and knows the lag."""

    def __init__(
        self,
        brokers: Brokers,
        sources: TopicIds,
        tracker: OffsetTracker,
        partitions: Callable[[], Sequence[Partition]],
        retry: Retry,
        *,
        when_idle: Callable[[], None],
        on_crash: Callable[[BaseException], None],
        interval_seconds: float = 1.0,
    ) -> None:
        """`when_idle` is called at each look while no partition is assigned; it may raise
        `ServiceAwayError`. `on_crash` is called by the thread when it cannot go on, or the worker must
        not."""
        self._when_idle = when_idle
        self._on_crash = on_crash
        self._brokers = brokers.within(_REQUEST_SECONDS)
        self._topic_ids = sources
        self._tracker = tracker
        self._partitions = partitions
        self._retry = retry
        self._interval = interval_seconds
        self._ends: dict[Partition, int] = {}
        self._starts: dict[Partition, int] = {}
        self._behind_since: dict[Partition, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="end-offsets", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()

    def lag(self) -> list[PartitionLag]:
        """Lag of each assigned partition, now.

        In records: end offset minus the offset the group would go on from. In seconds: the age of
        the oldest record consumed and not finished; where nothing is consumed although something
        is there, the time since that was first seen.
        """
        now = time.time()
        lags = []
        for partition in self._partitions():
            records = self._records(partition)
            oldest = self._tracker.oldest_unfinished(partition)
            if oldest is None and records:
                oldest = self._behind_since.get(partition)
            seconds = 0.0 if oldest is None else max(0.0, now - oldest)
            lags.append(PartitionLag(partition.topic, partition.number, records, seconds))
        return lags

    def _records(self, partition: Partition) -> int | None:
        end = self._ends.get(partition)
        done = self._tracker.next_offset(partition)
        if done is None:
            done = self._starts.get(partition)
        return None if end is None or done is None else max(0, end - done)

    def _watch(self) -> None:
        try:
            while not self._stop.wait(self._interval):
                self._retry("kafka", self._look)
        except StoppingError:
            pass
        except BaseException as error:  # noqa: BLE001 - nothing may end this thread unseen
            self._on_crash(error)

    def _look(self) -> None:
        partitions = list(self._partitions())
        self._brokers.poll()  # or what librdkafka logs would be kept for ever
        self._topic_ids.check(partitions)
        ends = self._brokers.ends(map(id_of, partitions))
        self._ends = {p: ends[id_of(p)] for p in partitions}
        unknown = [p for p in partitions if self._tracker.next_offset(p) is None]
        starts = self._brokers.starts(map(id_of, unknown))
        self._starts = {p: starts[id_of(p)] for p in unknown}
        if not partitions:
            self._when_idle()
        now = time.time()
        behind = [p for p in partitions if self._records(p)]
        self._behind_since = {p: self._behind_since.get(p, now) for p in behind}
