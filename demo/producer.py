"""The world outside: sends what happened in December 2013, at an accelerated clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, Message, Producer

from demo.errors import DemoError
from demo.plan import Planned
from stream_app.records.places import Place

__all__ = ["FlightProducer"]

_FLUSH_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.1
"""How long a wait may last until a request to stop is seen."""
_BEHIND_SECONDS: Final = 0.04
"""How old the oldest record without an acknowledgement may be, for the clock to go on."""
_LATE_SECONDS: Final = 0.02
"""How late a record may be sent without slowing the clock down."""
_SERVE_EVERY: Final = 64
"""Records between two looks at delivery reports."""


class FlightProducer:
    """Sends the planned records from a thread of its own.

    A record's timestamp is the wall clock at which it is sent; when it happened stands in its
    value. `speed` is how many seconds of December pass in one; None sends without waiting. Where
    the brokers do not keep up, the clock slows down: else a record would reach its topic minutes of
    December after later ones have reached others, and live predictions could not know of it.
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
        self._unacknowledged: dict[int, float] = {}
        self.sent = 0
        self.seconds = 0.0
        """How long sending took."""
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
        producer = self._producer
        begin = started = time.monotonic()
        first = self._planned[0].known_at if self._planned else 0.0
        for number, planned in enumerate(self._planned):
            if self._speed is not None:
                due = begin + (planned.known_at - first) / self._speed
                self._wait_until(due)
                begin += max(0.0, time.monotonic() - due - _LATE_SECONDS)
            if self._stop.is_set():
                return
            self._produce(number, planned)
            self.sent = number + 1
            self.event_clock = planned.known_at
            if number % _SERVE_EVERY == 0:
                producer.poll(0.0)
        self.seconds = time.monotonic() - started
        if left := producer.flush(_FLUSH_SECONDS):
            self._error = f"{left} records were not acknowledged in {_FLUSH_SECONDS:g} s"

    def _wait_until(self, due: float) -> None:
        """Wait until `due`, and until the acknowledgements have come that should have."""
        while not self._stop.is_set():
            now = time.monotonic()
            oldest = next(iter(self._unacknowledged.values()), now)
            if now - oldest > _BEHIND_SECONDS:
                self._producer.poll(_BEHIND_SECONDS)
            elif due > now:
                self._producer.poll(min(due - now, _LOOK_SECONDS))
            else:
                return

    def _produce(self, number: int, planned: Planned) -> None:
        report = partial(self._report, number, planned.reason)
        self._unacknowledged[number] = time.monotonic()
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

    def _report(
        self, number: int, reason: str | None, error: KafkaError | None, message: Message
    ) -> None:
        self._unacknowledged.pop(number, None)
        if error is not None:
            self._error = error.str()
            return
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        assert topic is not None
        assert partition is not None
        assert offset is not None
        self.expected[Place(topic, partition, offset)] = reason
