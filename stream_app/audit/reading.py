"""Reads ranges of logs once, as a stream, with what was removed while it was read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from stream_app.audit.brokers import Brokers
from stream_app.audit.places import Place
from stream_app.errors import ConfigurationError, ServiceAwayError
from stream_app.records import read_headers

__all__ = ["Progress", "headers_of", "place_of", "read"]

_RECORDS: Final = 16
"""Records taken at once: the headers of all are unpacked, and of one they may be 60,000 tiny ones."""
_POLL_SECONDS: Final = 0.5
_STALLED_SECONDS: Final = 60.0
"""Longer than brokers let a transaction stand that nobody goes on with, as the worker sets it."""

_UNREADABLE: Final = frozenset({KafkaError._BAD_COMPRESSION, KafkaError._BAD_MSG})

#: Told how many offsets have been read, of how many.
Progress = Callable[[int, int], None]


def read(
    brokers: Brokers,
    ranges: Mapping[Place, tuple[int, int]],
    progress: Progress,
    on_removed: Callable[[Place, int, int], None],
) -> Iterator[list[Message]]:
    """Yield the committed records of each range, first offset included, end not; in offset order.

    A range whose end lies in a transaction that is not decided yet is waited for.
    `on_removed(place, first, end)` is told of offsets that retention removed meanwhile. Raises
    `ServiceAwayError` when nothing comes any more.
    """
    reader = _Reader(brokers, ranges, on_removed)
    try:
        while reader.open:
            yield reader.take()
            progress(reader.done, reader.total)
    finally:
        reader.close()


def place_of(message: Message) -> Place:
    """The partition a record came from."""
    topic, partition = message.topic(), message.partition()
    assert topic is not None
    assert partition is not None
    return Place(topic, partition)


def headers_of(message: Message) -> list[Any]:
    """The headers of an output; raises `ValueError` where confluent-kafka cannot read them."""
    try:
        # Once only: where it failed, a second call gives what is no object.
        headers = read_headers(message)
    except Exception as error:
        # A header whose name is not UTF-8 is a SystemError. A worker passes on what it could read.
        raise ValueError("its headers cannot be read") from error
    return headers or []


class _Reader:
    def __init__(
        self,
        brokers: Brokers,
        ranges: Mapping[Place, tuple[int, int]],
        on_removed: Callable[[Place, int, int], None],
    ) -> None:
        self._brokers = brokers
        self._on_removed = on_removed
        self._ends = {place: end for place, (first, end) in ranges.items() if first < end}
        self._next = {place: ranges[place][0] for place in self._ends}
        self.total = sum(self._ends[place] - first for place, first in self._next.items())
        self._left = self.total
        self.open = set(self._ends)
        self._moved_at = time.monotonic()
        self._consumer: Consumer | None = None
        if self.open:
            self._consumer = brokers.consumer()
            self._consumer.assign([TopicPartition(*p, at) for p, at in self._next.items()])

    @property
    def done(self) -> int:
        """Offsets read."""
        return self.total - self._left

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()

    def take(self) -> list[Message]:
        """What has come, in range; empty after a while without."""
        assert self._consumer is not None
        taken = []
        for message in self._consumer.consume(_RECORDS, _POLL_SECONDS):
            error = message.error()
            if error is None:
                offset = message.offset()
                assert offset is not None
                place = place_of(message)
                if place in self.open:
                    if offset < self._ends[place]:
                        taken.append(message)
                    self._reached(place, offset + 1)
            else:
                self._take_error(message, error)
        if self.open and time.monotonic() - self._moved_at > _STALLED_SECONDS:
            place = min(self.open)
            raise ServiceAwayError(
                "kafka",
                f"{place} delivers nothing after offset {self._next[place] - 1} for "
                f"{_STALLED_SECONDS:g} s, and its end is {self._ends[place]}: its leader is away, "
                "or a transaction is open there.",
            )
        return taken

    def _take_error(self, message: Message, error: KafkaError) -> None:
        code = error.code()
        if code == KafkaError._PARTITION_EOF:
            # It stands behind markers and gaps, and before the first open transaction.
            if (offset := message.offset()) is not None and place_of(message) in self.open:
                self._reached(place_of(message), offset)
        elif code in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            self._skip_removed(place_of(message))
        elif code not in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN) and not (
            error.retriable()
        ):
            raise self._unreadable(message, error)

    def _unreadable(self, message: Message, error: KafkaError) -> Exception:
        """What to raise where no record can be had any more."""
        if error.code() not in _UNREADABLE or message.topic() is None:
            return KafkaException(error)
        place = place_of(message)
        return ConfigurationError(
            f"{place} cannot be read from offset {self._next.get(place)} on ({error.str()}): the batch "
            "there is damaged, or unpacks to more than the consumer property "
            "receive.message.max.bytes. Raise that, or leave the batch out with --offsets."
        )

    def _reached(self, place: Place, offset: int) -> None:
        end = self._ends[place]
        before, self._next[place] = self._next[place], max(self._next[place], offset)
        if self._next[place] > before:
            self._moved_at = time.monotonic()
            self._left -= min(self._next[place], end) - before
        if self._next[place] >= end:
            self.open.discard(place)
            assert self._consumer is not None
            self._consumer.incremental_unassign([TopicPartition(*place)])

    def _skip_removed(self, place: Place) -> None:
        """Go on where the log begins now."""
        if place not in self.open:
            return
        first = self._next[place]
        start = self._brokers.starts([place])[place]
        self._on_removed(place, first, min(start, self._ends[place]))
        self._reached(place, start)
        if place in self.open:
            assert self._consumer is not None
            partition = TopicPartition(*place, self._next[place])
            self._consumer.incremental_unassign([partition])
            self._consumer.incremental_assign([partition])
