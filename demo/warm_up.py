"""A broker that has just started is slow until Java has compiled what it does most."""

from __future__ import annotations

from collections import deque
from typing import Final, Self

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from stream_app.local import create_topics

__all__ = ["WarmUp"]

_TOPIC: Final = "stream-app-demo.warm-up"
_PARTITIONS: Final = 8
_RECORDS: Final = 20
_VALUE: Final = bytes(400)
_REQUEST_SECONDS: Final = 10.0
_RECENT: Final = 100
_FAST_SECONDS: Final = 0.02
_SHARE: Final = 0.9


class WarmUp:
    """Records through a topic of its own, while the worker starts anyway.

    Measured on two busy cores: acknowledgements took 350 to 420 ms at first (median) and 40 to 240
    ms after 900 records. Events that come later than the worker waits for them are predicted from
    another state than they should be, and the first ones, when little is known, most of all.
    """

    def __init__(self, bootstrap: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        create_topics(bootstrap, {_TOPIC: _PARTITIONS})
        self._producer = Producer(
            {"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0}
        )
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "stream-app-demo-warm-up", "log_level": 0}
        )
        self._consumer.assign([TopicPartition(_TOPIC, n, 0) for n in range(_PARTITIONS)])

    @property
    def is_warm(self) -> bool:
        """Whether nine of ten of the last acknowledgements took less than 20 ms."""
        fast = sum(seconds < _FAST_SECONDS for seconds in self._recent)
        return fast >= _SHARE * _RECENT

    def turn(self, seconds: float) -> None:
        """Send and read some records, spread over `seconds`."""
        for number in range(_RECORDS):
            partition = number % _PARTITIONS
            self._producer.produce(_TOPIC, _VALUE, partition=partition, on_delivery=self._report)
            self._producer.poll(0.0)
            self._consumer.consume(1, seconds / _RECORDS)

    def close(self) -> None:
        """Remove the topic."""
        self._producer.flush(_REQUEST_SECONDS)
        self._consumer.close()
        for deleted in self._admin.delete_topics([_TOPIC]).values():
            deleted.result(_REQUEST_SECONDS)

    def _report(self, error: KafkaError | None, message: Message) -> None:
        latency = message.latency()
        if error is None and latency is not None:
            self._recent.append(latency)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
