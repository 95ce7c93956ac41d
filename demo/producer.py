"""The world outside: sends what happened in December 2013, at an accelerated clock."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from demo.errors import DemoError
from demo.plan import Planned
from demo.topics import Place

__all__ = ["FlightProducer"]

_FLUSH_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.1
"""How long a wait may last until a request to stop is seen."""
_SERVE_EVERY: Final = 64
"""Records between two looks at delivery reports."""


class FlightProducer:
    """Sends the planned records from a thread of its own.

    A record's timestamp is the wall clock at which it is sent; when it happened stands in its
    value. `speed` is how many seconds of December pass in one; None sends without waiting.
    """

    def __init__(self, bootstrap: str, planned: Sequence[Planned], speed: float | None) -> None:
        self._planned = planned
        self._speed = speed
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 5,
                # Some malformed records are large on purpose.
                "message.max.bytes": 16 * 2**20,
                "log_level": 0,
            }
        )
        self._thread = threading.Thread(target=self._run, name="flights", daemon=True)
        self._stop = threading.Event()
        self._error: str | None = None
        self.expected: dict[Place, str | None] = {}
        """For each acknowledged record: the reason it must be refused for, or None for a valid
        one. Kept beside the topics, so that a record says nothing about itself."""
        self.sent = 0
        self.acknowledged: Counter[str] = Counter()
        """Records by topic."""
        self.event_clock = planned[0].known_at if planned else 0.0
        """The time in December 2013 that the accelerated clock shows: seconds since the epoch."""

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether everything was sent and acknowledged; raises `DemoError` if it cannot be."""
        if self._error is not None:
            raise DemoError(f"Events cannot be produced: {self._error}")
        return not self._thread.is_alive()

    def stop(self) -> None:
        """Send no more."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_FLUSH_SECONDS)

    def _run(self) -> None:
        try:
            self._send()
        except Exception as error:  # noqa: BLE001  told to whoever asks whether we are done
            self._error = f"{type(error).__name__}: {error}"

    def _send(self) -> None:
        producer, begin = self._producer, time.monotonic()
        first = self._planned[0].known_at if self._planned else 0.0
        for number, planned in enumerate(self._planned):
            if self._speed is not None:
                due = begin + (planned.known_at - first) / self._speed
                while (wait := due - time.monotonic()) > 0.0:
                    if self._stop.is_set():
                        return
                    producer.poll(min(wait, _LOOK_SECONDS))
            elif self._stop.is_set():
                return
            self._produce(planned)
            self.sent = number + 1
            self.event_clock = planned.known_at
            if number % _SERVE_EVERY == 0:
                producer.poll(0.0)
        if left := producer.flush(_FLUSH_SECONDS):
            self._error = f"{left} records were not acknowledged in {_FLUSH_SECONDS:g} s"

    def _produce(self, planned: Planned) -> None:
        report = partial(self._report, planned.reason)
        while True:
            try:
                self._producer.produce(
                    planned.topic,
                    planned.value,
                    planned.key,
                    on_delivery=report,
                )
            except BufferError:
                self._producer.poll(_LOOK_SECONDS)  # the queue is full: let it drain
            else:
                return

    def _report(self, reason: str | None, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._error = error.str()
            return
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None
        assert partition is not None
        assert offset is not None
        self.expected[Place(topic, partition, offset)] = reason
        self.acknowledged[topic] += 1
