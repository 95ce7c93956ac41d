"""Records that keep coming, whatever happens to the brokers meanwhile."""

import json
import random
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from tests.integration.bed import Bed
from tests.integration.worker import Sent, headers_of
from tests.usecases import regression

__all__ = ["Traffic"]

_TURN_SECONDS = 0.05
_FLUSH_SECONDS = 60.0
_POISON_ONE_IN = 100
_BACKLOG_STEP_SECONDS = 5.0
_BY_KEY = -1
_METADATA_SECONDS = 20.0
_FULL_SECONDS = 20.0
"""A slow machine takes longer for a round; after this long it is spared most of the records."""
_SPARED = 10


class Traffic(threading.Thread):
    """Produces `rate` records a second from `start` to `stop`; idempotent, acks=all.

    One record in a hundred is none that the use case can read: it belongs in a dead letter.
    """

    def __init__(self, bed: Bed, bootstrap: str, *, rate: float, seed: int) -> None:
        super().__init__(name="traffic", daemon=True)
        self._bed = bed
        self._rate = rate
        self._random = random.Random(seed)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "log_level": 0,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                # Brokers come back: until then nothing is given up.
                "message.timeout.ms": 0,
                "topic.metadata.refresh.interval.ms": 1_000,
            }
        )
        self._refused: list[KafkaError] = []
        self.acknowledged = 0
        """Records that the brokers have taken for good."""

    def backlog(self, count: int) -> None:
        """Records of the last hours, all at once, acknowledged when this returns."""
        self._produce(count, time.time() - count * _BACKLOG_STEP_SECONDS, _BACKLOG_STEP_SECONDS)
        self._flush()

    def burst(self, count: int) -> None:
        """Records of now, more than are usual."""
        self._produce(count, time.time(), 0.0)

    def everywhere(self, places: Iterable[tuple[str, int]]) -> None:
        """One record in each partition: no worker is left that could not have noticed a loss."""
        for topic, partition in places:
            at = time.time()
            events = regression.events(3, at, step=0.0, seed=self._random.randrange(2**32))
            (event,) = [e for e in events if regression.topic_of(e, self._bed.usecase) == topic][:1]
            key = str(event["meter"]).encode()
            self._send(Sent(topic, _dumps(event), key, partition, at))

    def run(self) -> None:
        """Produce until `stop`."""
        began = last = time.time()
        while not self._ended.wait(_TURN_SECONDS):
            now = time.time()
            rate = self._rate if now - began < _FULL_SECONDS else self._rate / _SPARED
            if count := int((now - last) * rate):
                self._produce(count, last, 1.0 / rate)
                last += count / rate

    def stop(self) -> None:
        """Produce no more; all that was produced is acknowledged when this returns."""
        self._ended.set()
        if self.is_alive():
            self.join()
        self._flush()

    def _produce(self, count: int, start: float, step: float) -> None:
        with self._lock:
            for sent in self._records(count, start, step):
                self._send(sent)

    def _send(self, sent: Sent) -> None:
        while True:
            try:
                self._producer.produce(
                    sent.topic,
                    sent.value,
                    sent.key,
                    _BY_KEY if sent.partition is None else sent.partition,
                    timestamp=round((sent.timestamp or 0.0) * 1_000),
                    headers=sent.headers,
                    on_delivery=self._report,
                )
                break
            except KafkaException as error:
                if error.args[0].code() != KafkaError._UNKNOWN_PARTITION:
                    raise
                # Added a moment ago, and the producer has not heard of it yet.
                self._producer.list_topics(sent.topic, timeout=_METADATA_SECONDS)
        self._producer.poll(0)

    def _records(self, count: int, start: float, step: float) -> Iterator[Sent]:
        rng = self._random
        usecase = self._bed.usecase
        made = regression.events(count, start, step=step, seed=rng.randrange(2**32))
        for number, event in enumerate(made):
            at = start + number * step
            topic = regression.topic_of(event, usecase)
            key = str(event["meter"]).encode()
            if rng.randrange(_POISON_ONE_IN):
                value: bytes | None = _dumps(event)
            else:
                value = self._spoil(event)
            yield Sent(topic, value, key, timestamp=at, headers=headers_of(rng.randrange(2**32)))

    def _spoil(self, event: dict[str, Any]) -> bytes | None:
        """A value that is no event: cut off, absent, incomplete, from a far year."""
        which = self._random.randrange(4)
        if which == 0:
            return _dumps(event)[:-2]
        if which == 1:
            return None
        if which == 2:
            return _dumps({name: value for name, value in event.items() if name != "meter"})
        return _dumps(event | {"event_time": "2099-01-01T00:00:00Z"})

    def _report(self, error: KafkaError | None, _message: object) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self._refused.append(error)

    def _flush(self) -> None:
        left = self._producer.flush(_FLUSH_SECONDS)
        assert not left, f"{left} records were not acknowledged within {_FLUSH_SECONDS:g} s"
        assert not self._refused, self._refused[0]


def _dumps(event: dict[str, Any]) -> bytes:
    return json.dumps(event).encode()
