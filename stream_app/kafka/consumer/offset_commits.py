"""Commits of offsets outside transactions: what is finished, at most every so often."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from stream_app.errors import FatalError, RefusedError, ServiceAwayError
from stream_app.kafka.errors import failure
from stream_app.kafka.offset_metadata import as_committed
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.observer.events import CommitAnswered, CommitFailed
from stream_app.observer.observer import Observer
from stream_app.records.log_fields import about_all
from stream_app.records.partition import Partition
from stream_app.text.foreign import bounded

__all__ = ["OffsetCommits"]

log = logging.getLogger(__name__)


class OffsetCommits:
    """Commits what the commit stage says is finished; every call is made on the client thread."""

    def __init__(
        self,
        tracker: OffsetTracker,
        observer: Observer,
        assigned: Callable[[str, int], Partition | None],
        *,
        beside_transactions: bool,
        refusal_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`assigned` gives the assignment that a partition is held under now.

        `beside_transactions`: what is finished is committed in transactions. What is left, where
        partitions start and markers at their ends, is committed while none is.
        `refusal_seconds`: how long the brokers may refuse before that is believed.
        """
        self._tracker = tracker
        self._observer = observer
        self._assigned = assigned
        self._beside_transactions = beside_transactions
        self._started = 0.0
        self._refusal = refusal_seconds
        self._clock = clock
        self._refused_since: float | None = None
        self._given_up: Exception | None = None

    def send(self, consumer: Consumer, *, wait: bool = False) -> None:
        """Commit what is finished; `wait` for the answer.

        Raises `FatalError` where the brokers refuse commits for good.
        """
        if self._given_up is not None:
            raise self._given_up
        if not self._beside_transactions:
            self._send(consumer, wait=wait)
            return
        if self._tracker.has_due:
            with self._tracker.exclusive:
                self._send(consumer, wait=True)

    def _send(self, consumer: Consumer, *, wait: bool) -> None:
        offsets = {
            partition: offset
            for partition, offset in self._tracker.take_due().items()
            if self._assigned(partition.topic, partition.number) is partition
        }
        if not offsets:
            return
        places = as_committed(offsets, self._tracker.notes)
        self._started = time.perf_counter()
        try:
            if wait:
                self.answered(None, consumer.commit(offsets=places, asynchronous=False) or [])
            else:
                consumer.commit(offsets=places)
        except KafkaException as error:
            self._failed(error.args[0], offsets)

    def answered(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        """Note how a commit went; of one that was not waited for, librdkafka tells inside poll."""
        seconds = time.perf_counter() - self._started
        ours: dict[Partition, TopicPartition] = {}
        for place in offsets:
            partition = self._assigned(place.topic, place.partition)
            if partition is not None:
                ours[partition] = place
        failed = {p: place.offset for p, place in ours.items() if error or place.error}
        committed = {p: place.offset for p, place in ours.items() if p not in failed}
        self._observer.tell(CommitAnswered(seconds, committed))
        for partition, offset in committed.items():
            self._tracker.committed(partition, offset)
        if ours and not failed:
            self._refused_since = None
        if failed:
            causes = [place.error for place in ours.values() if place.error]
            self._failed(error or causes[0], failed)

    def _failed(self, error: KafkaError, offsets: Mapping[Partition, int]) -> None:
        # The records behind these offsets are published and written: should they be read again,
        # they are recognised. Until then the offsets are tried again.
        self._observer.tell(CommitFailed(error.str()))
        log.warning(
            "offsets were not committed: %s",
            error.str(),
            extra=about_all((partition.topic, partition.number) for partition in offsets),
        )
        for partition, offset in offsets.items():
            self._tracker.give_back(partition, offset)
        # Raised by the next call: this one may be librdkafka's.
        self._given_up = self._verdict(error, offsets)

    def _verdict(self, error: KafkaError, offsets: Mapping[Partition, int]) -> Exception | None:
        """What to raise where a refusal is for good; None where the commit is tried again."""
        places = ", ".join(f"{partition} at {offset}" for partition, offset in offsets.items())
        outcome = failure(error, f"committing the offsets {bounded(places)}")
        if not isinstance(outcome, ServiceAwayError):
            return outcome
        if not isinstance(outcome, RefusedError):
            self._refused_since = None
            return None
        now = self._clock()
        if self._refused_since is None:
            self._refused_since = now
        return FatalError(str(outcome)) if now - self._refused_since >= self._refusal else None
