"""The loop a strong team would write by hand: confluent-kafka, three threads, the feature library.

One thread consumes and commits, one computes, one produces and writes states, so that waiting for Kafka
and Redis overlaps the work. At least once: an offset is committed after the acknowledgement of every
prediction and the write of every state before it. What is done again after a crash is published again,
with the same id; its updates count once, by the library's fences. A malformed record is a dead letter.
It does not align partitions, keeps no metrics, notices no lost state, and anything unforeseen ends it.

python -m benchmarks.contest.loops.hand_written [default|tuned]
"""

from __future__ import annotations

import gc
import os
import queue
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.contest.loops.library import Consumed, Done, FeatureWork
from benchmarks.contest.surroundings import Surroundings, end_at_once_when_told

__all__ = ["HandWrittenLoop"]

_BATCH: Final = 4_096
_DEPTH: Final = 6
_COMMIT_SECONDS: Final = 0.1
_TURN_SECONDS: Final = 0.02
_FLUSH_SECONDS: Final = 30.0

_CONSUMER: Final[dict[str, Any]] = {
    "auto.offset.reset": "earliest",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "isolation.level": "read_committed",
    "fetch.queue.backoff.ms": 10,
    "fetch.wait.max.ms": 50,
    "queued.min.messages": 20_000,
    "partition.assignment.strategy": "cooperative-sticky",
}
_PRODUCER: Final[dict[str, Any]] = {
    "acks": "all",
    "enable.idempotence": True,
    # `flush` waits for none of it.
    "linger.ms": 5,
    "compression.type": "lz4",
    "delivery.report.only.error": True,
    "queue.buffering.max.messages": 1_000_000,
}


class HandWrittenLoop:
    """The three threads."""

    def __init__(self, surroundings: Surroundings) -> None:
        connection = {"bootstrap.servers": surroundings.bootstrap}
        self._work = FeatureWork(surroundings)
        self._consumer = Consumer(connection | {"group.id": surroundings.group} | _CONSUMER)
        self._producer = Producer(connection | _PRODUCER)
        self._progress = surroundings.counter()
        self._refused: list[Any] = []
        self._batches: queue.Queue[list[Any]] = queue.Queue(_DEPTH)
        self._computed: queue.Queue[Done] = queue.Queue(_DEPTH)
        self._finished: deque[dict[tuple[str, int], int]] = deque()

    def run(self) -> None:
        """Work until the process is ended."""
        threads = [
            threading.Thread(target=_or_end(part), daemon=True)
            for part in (self._consume, self._compute, self._deliver)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _consume(self) -> None:
        self._consumer.subscribe(self._work.topics)
        waiting: list[Any] = []
        committed_at = time.perf_counter()
        while True:
            now = time.perf_counter()
            if now - committed_at > _COMMIT_SECONDS:
                committed_at = now
                self._commit()
            if len(waiting) < _BATCH:
                first = self._consumer.poll(0.0 if waiting else _TURN_SECONDS)
                if first is not None:
                    found = [first, *self._consumer.consume(_BATCH, 0.0)]
                    waiting += [message for message in found if message.error() is None]
            # A full batch waits for room; less than one goes as soon as nobody has anything to do.
            if waiting and (len(waiting) >= _BATCH or self._batches.empty()):
                try:
                    self._batches.put(waiting[:_BATCH], timeout=_TURN_SECONDS)
                except queue.Full:
                    continue
                del waiting[:_BATCH]

    def _commit(self) -> None:
        ends: dict[tuple[str, int], int] = {}
        while self._finished:
            ends |= self._finished.popleft()
        if ends:
            offsets = [TopicPartition(*place, end + 1) for place, end in ends.items()]
            self._consumer.commit(offsets=offsets, asynchronous=True)

    def _compute(self) -> None:
        while True:
            messages = self._batches.get()
            self._computed.put(
                self._work.compute(
                    Consumed(m.topic(), m.partition(), m.offset(), m.key(), m.value())
                    for m in messages
                )
            )

    def _deliver(self) -> None:
        while True:
            batches = [self._computed.get()]
            while not self._computed.empty():
                batches.append(self._computed.get())
            for done in batches:
                for topic, key, value, headers in done.outgoing:
                    self._producer.produce(
                        topic, value, key, headers=headers, on_delivery=self._delivered
                    )
            if self._producer.flush(_FLUSH_SECONDS) or self._refused:
                raise RuntimeError(f"not published: {self._refused[:1]}")
            for done in batches:
                self._work.write(done)
                self._finished.append(done.ends)
                self._progress.add(done.records)

    def _delivered(self, error: Any, _: Any) -> None:
        if error is not None:
            self._refused.append(error)


def _or_end(part: Callable[[], None]) -> Callable[[], None]:
    """A thread of three that fails must not leave two behind."""

    def run() -> None:
        try:
            part()
        except BaseException:  # noqa: BLE001 - a supervisor starts the process again
            traceback.print_exc()
            os._exit(1)

    return run


def main() -> None:
    """Run it, with Python's own collector or with one that looks seldom."""
    end_at_once_when_told()
    loop = HandWrittenLoop(Surroundings.read())
    if "tuned" in sys.argv[1:]:
        gc.collect()
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
    loop.run()


if __name__ == "__main__":
    main()
