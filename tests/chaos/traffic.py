"""Records that keep coming, whatever happens to the brokers meanwhile."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from stream_app.errors import ServiceAwayError
from tests.chaos.spoiled import spoil
from tests.integration.testbed import Testbed
from tests.integration.worker import Sent, headers_of
from tests.raw_records import RawRecord, write
from tests.usecases import chaos_meters

__all__ = ["Hostile", "Traffic", "encoded"]

_TURN_SECONDS = 0.05
_FLUSH_SECONDS = 60.0
_POISON_ONE_IN = 100
_KEYLESS_ONE_IN = 50
_BACKLOG_STEP_SECONDS = 5.0
_BY_KEY = -1
_METADATA_SECONDS = 20.0
_WRITE_SECONDS = 120.0
"""As long as a broker may take to come back on a slow machine."""
_FULL_SECONDS = 20.0
"""A slow machine takes longer for a round; after this long it is spared most of the records."""
_SPARED = 10
#: Answers of brokers that have surely not written what they refused.
_REFUSED = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.NOT_ENOUGH_REPLICAS,
    }
)


@dataclass(frozen=True)
class Hostile:
    """A batch that is written by hand, to any partition of a topic."""

    topic: str
    records: Sequence[RawRecord]
    codec: str = "none"


class Traffic(threading.Thread):
    """Produces `rate` records a second from `start` to `stop`; idempotent, acks=all.

    One record in a hundred is none that the use case can read: it belongs in a dead letter. One in
    fifty has no key.
    """

    def __init__(
        self, testbed: Testbed, bootstrap: str, *, rate: float, seed: int, entities: int
    ) -> None:
        super().__init__(name="traffic", daemon=True)
        self._bed = testbed
        self._servers = bootstrap
        self._rate = rate
        self._random = random.Random(seed)
        self._entities = entities
        self._ended = threading.Event()
        self._lock = threading.RLock()
        self._producer = self._new_producer()
        self._refused: list[KafkaError] = []
        self.acknowledged: Counter[str] = Counter()
        """By topic, records that the brokers have taken for good."""
        self.doubtful: Counter[str] = Counter()
        """By topic, records beside those of which nobody can say whether they were taken."""

    def backlog(self, count: int) -> None:
        """Records of the last hours, all at once, acknowledged when this returns."""
        self._produce(count, time.time() - count * _BACKLOG_STEP_SECONDS, _BACKLOG_STEP_SECONDS)
        self._flush()

    def burst(self, count: int, *, one_moment: bool = False) -> None:
        """Records of now, more than are usual; `one_moment`: no two times differ."""
        if not one_moment:
            self._produce(count, time.time(), 0.0)
            return
        events = self.events(count)
        for event in events:
            event["event_time"] = events[0]["event_time"]
        self.send(events)

    def events(self, count: int, kind: str = "event") -> list[dict[str, Any]]:
        """Events of now, to be changed and sent; their ids begin with `kind`."""
        with self._lock:
            made = chaos_meters.events(
                count, time.time(), step=0.0, meters=self._entities,
                seed=self._random.randrange(2**32),
            )  # fmt: skip
        return [event | {"event_id": f"{kind}-{event['event_id']}"} for event in made]

    def by_topic(
        self, events: Iterable[dict[str, Any]]
    ) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        """Events with the topics they belong to."""
        found: dict[str, list[dict[str, Any]]] = {}
        for event in events:
            found.setdefault(chaos_meters.topic_of(event, self._bed.usecase), []).append(event)
        yield from found.items()

    def send(self, events: Iterable[dict[str, Any]]) -> None:
        """Produce events, all with the record timestamp of this moment."""
        at = time.time()
        with self._lock:
            for topic, found in self.by_topic(events):
                for event in found:
                    key = str(event["meter"]).encode()
                    self._send(Sent(topic, encoded(event), key, timestamp=at))

    def write(self, hostile: Hostile) -> None:
        """Write a batch by hand; where a broker's answer is lost, once more."""
        deadline = time.monotonic() + _WRITE_SECONDS
        with self._lock:
            while True:
                places = _places(self._bed, hostile.topic)
                try:
                    write(
                        self._servers, *self._random.choice(places), hostile.records,
                        codec=hostile.codec,
                    )  # fmt: skip
                except (KafkaException, OSError) as error:
                    if not _is_refusal(error):
                        self.doubtful[hostile.topic] += len(hostile.records)
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.2)
                else:
                    self.acknowledged[hostile.topic] += len(hostile.records)
                    return

    @contextmanager
    def halted(self) -> Iterator[None]:
        """Nothing is produced meanwhile, and all that was is acknowledged.

        What comes after has a producer of its own, which knows nothing of the topics as they were.
        """
        with self._lock:
            self._flush()
            yield
            self._producer = self._new_producer()

    def everywhere(self, places: Iterable[tuple[str, int]]) -> None:
        """One record in each partition: no worker is left that could not have noticed a loss."""
        for topic, partition in places:
            at = time.time()
            for of, (event, *_) in self.by_topic(self.events(3)):
                if of == topic:
                    key = str(event["meter"]).encode()
                    self._send(Sent(topic, encoded(event), key, partition, at))

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
        made = chaos_meters.events(
            count, start, step=step, meters=self._entities, seed=rng.randrange(2**32)
        )
        for number, event in enumerate(made):
            at = start + number * step
            topic = chaos_meters.topic_of(event, usecase)
            key = str(event["meter"]).encode() if rng.randrange(_KEYLESS_ONE_IN) else None
            value = encoded(event) if rng.randrange(_POISON_ONE_IN) else spoil(event, rng)
            yield Sent(topic, value, key, timestamp=at, headers=headers_of(rng.randrange(2**32)))

    def _new_producer(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self._servers,
                "log_level": 0,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 5,
                # Brokers come back: until then nothing is given up.
                "message.timeout.ms": 0,
                "topic.metadata.refresh.interval.ms": 1_000,
            }
        )

    def _report(self, error: KafkaError | None, message: Any) -> None:
        if error is None:
            self.acknowledged[message.topic()] += 1
        else:
            self._refused.append(error)

    def _flush(self) -> None:
        left = self._producer.flush(_FLUSH_SECONDS)
        assert not left, f"{left} records were not acknowledged within {_FLUSH_SECONDS:g} s"
        assert not self._refused, self._refused[0]


def _places(testbed: Testbed, topic: str) -> list[tuple[str, int]]:
    places: list[tuple[str, int]] = []
    deadline = time.monotonic() + _WRITE_SECONDS
    while not places:
        try:
            places = list(testbed.cluster.ends(topic))
        except ServiceAwayError:
            if time.monotonic() > deadline:
                raise
    return places


def encoded(event: dict[str, Any]) -> bytes:
    """An event as it is on the wire."""
    return json.dumps(event).encode()


def _is_refusal(error: KafkaException | OSError) -> bool:
    """Whether the batch was surely not written."""
    if isinstance(error, KafkaException):
        code = error.args[0].code()
        return code in _REFUSED or code < 0  # librdkafka's own: the leader was not found
    return isinstance(error, ConnectionRefusedError)
