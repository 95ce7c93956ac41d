"""The events of a point: drawn, spoilt where that is what is varied, and written to the topic."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Final

from confluent_kafka import Producer

__all__ = ["SMALLEST_BYTES", "Feed", "readings"]

_MOMENT_EVERY: Final = 1_000
"""Events that share a time where they are given none: to format one costs more than the event."""

_WITHOUT_NOTE: Final = (
    b'{"event_id":"%012d","event_time":"%s","meter":%d,"amount":%.4f,"note":"%s"}'
)
SMALLEST_BYTES: Final = 128
"""Of a value, about, whatever is asked for."""


def readings(
    count: int,
    *,
    meters: int,
    payload_bytes: int = 300,
    at: float | None = None,
    every: float = 0.0,
    malformed: float = 0.0,
    seed: int = 1,
) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values; each meter shows once before any shows twice, then they are drawn at random.

    `at`: the first event's time in seconds since the epoch, by default now; `every`: seconds between
    two. `malformed`: the share of the events that are cut off or lack a field, 0 to 1.
    """
    rng = Random(seed)
    note = b"x" * max(0, payload_bytes - SMALLEST_BYTES)
    moment = b""
    for number in range(count):
        if every or number % _MOMENT_EVERY == 0:
            seconds = time.time() if at is None else at + number * every
            moment = datetime.fromtimestamp(seconds, UTC).isoformat().encode()
        meter = number if number < meters else int(rng.random() * meters)
        value = _WITHOUT_NOTE % (number, moment, meter, 100.0 * rng.random(), note)
        if malformed and rng.random() < malformed:
            value = _spoilt(value, number)
        yield b"%d" % meter, value


def _spoilt(value: bytes, number: int) -> bytes:
    """Cut off, with a field too few, or with an amount below zero."""
    match number % 3:
        case 0:
            return value[: len(value) // 2]
        case 1:
            return value.replace(b'"meter"', b'"metre"')
        case _:
            return value.replace(b'"amount":', b'"amount":-')


class Feed:
    """Writes events to a topic."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "linger.ms": 20,
                # As records that were sent as they happened: not thousands of one partition in a row.
                "batch.size": 65_536,
                "queue.buffering.max.messages": 200_000,
                "queue.buffering.max.kbytes": 262_144,
            }
        )

    def write(self, events: Iterator[tuple[bytes, bytes]]) -> int:
        """Write events and return how many, when all are acknowledged."""
        count = 0
        for key, value in events:
            while True:
                try:
                    self._producer.produce(self._topic, value, key)
                    break
                except BufferError:
                    self._producer.poll(0.1)
            count += 1
        self._producer.flush()
        return count

    def write_paced(self, events: Iterator[tuple[bytes, bytes]], rate: float) -> int:
        """Write events as they happen, `rate` a second; late where this process is."""
        begun, count = time.perf_counter(), 0
        for key, value in events:
            self._producer.produce(self._topic, value, key)
            count += 1
            ahead = begun + count / rate - time.perf_counter()
            if ahead > 0.005:
                self._producer.poll(ahead)
        self._producer.flush()
        return count
