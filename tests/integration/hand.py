"""What a worker does, done by hand, so that a test can leave something out or do it wrong."""

import json
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from pydantic import SecretStr

from stream_app.audit import Report, Scope, audit
from stream_app.config.settings import Settings
from stream_app.features.events import InvalidEventError, LogRecord
from stream_app.records.record_id import record_id_of
from stream_app.text.moments import rfc3339
from stream_app.wire.prediction import source_headers
from stream_app.wire.replays import Replay, Replays
from tests.integration.testbed import Testbed
from tests.integration.worker import Out, Sent

__all__ = ["SECRET", "Hand", "run"]

#: Makes replays.
SECRET = "correct-horse-battery"

Headers = list[tuple[str, bytes | None]]


def run(testbed: Testbed, scope: Scope | None = None, **options: Any) -> Report:
    """Audit a use case in this process."""
    return audit(Settings(**testbed.settings), testbed.usecase, scope, **options)


class Hand:
    """The group of a text classifier, whose every valid record asks for a prediction."""

    def __init__(self, testbed: Testbed) -> None:
        testbed.settings["replay_secret"] = SECRET
        self.testbed = testbed
        self.group = testbed.usecase.name
        self.topic = testbed.topics[0]
        self.ids = testbed.cluster.topic_ids(*testbed.topics)[1]
        self._records: dict[tuple[int, int], Out] = {}

    def send(
        self,
        count: int,
        partition: int = 0,
        value: bytes | None = None,
        *,
        headers: Any = (),
        key: bytes | None = b"customer",
    ) -> None:
        """Produce events to one partition."""
        made = [
            replace(sent, partition=partition, headers=list(headers), key=key)
            for sent in self.testbed.tickets(count)
        ]
        if value is not None:
            made = [replace(sent, value=value) for sent in made]
        self.testbed.cluster.produce(made)

    def origin(self, offset: int, partition: int = 0, *, topic_id: str = "") -> str:
        """The name of a record."""
        return f"{topic_id or self.ids[self.topic]}-{partition}-{offset}"

    def record(self, offset: int, partition: int = 0) -> Out | None:
        """The record that stands at an offset."""
        if (partition, offset) not in self._records:
            read = self.testbed.cluster.read(self.topic)
            self._records = {(out.partition, out.offset): out for out in read}
        return self._records.get((partition, offset))

    def predict(self, offsets: Iterable[int], partition: int = 0, **how: Any) -> None:
        """Publish a prediction for each of these records; `how`: see `prediction`."""
        self.testbed.cluster.produce(
            self.prediction(offset, partition, **how) for offset in offsets
        )

    def prediction(
        self,
        offset: int,
        partition: int = 0,
        *,
        topic_id: str = "",
        origin: str = "",
        **fields: Any,
    ) -> Sent:
        """The prediction of a record as a worker makes it, but for these fields of its value."""
        origin = origin or self.origin(offset, partition, topic_id=topic_id)
        record = self.record(offset, partition)
        try:
            event: Any = self.testbed.usecase.topics[0].decoder(LogRecord(record and record.value))
            said = {"event_id": event.event_id, "event_time": rfc3339(event.event_time)}
        except InvalidEventError:
            said = {"event_id": "none", "event_time": "1970-01-01T00:00:00Z"}
        value = {
            "prediction_id": origin,
            **said,
            "label": "praise",
            "probabilities": {"praise": 1.0},
            "model": {"name": "tickets", "version": "1"},
            "served_by": "champion",
            "degraded": None,
            "state_freshness_seconds": None,
        }
        return Sent(
            self.testbed.usecase.predictions_topic,
            json.dumps(value | fields).encode(),
            record.key if record else None,
            headers=source_headers(origin, self.topic, partition, offset),
        )

    def bury(self, offsets: Iterable[int], partition: int = 0, **how: Any) -> None:
        """Publish a dead letter for each of these records; `how`: see `dead_letter`."""
        self.testbed.cluster.produce(
            self.dead_letter(offset, partition, **how) for offset in offsets
        )

    def dead_letter(
        self, offset: int, partition: int = 0, *, group: str = "", **about: bytes
    ) -> Sent:
        """The dead letter of a record as a worker makes it, with these headers besides."""
        record = self.record(offset, partition)
        told = {
            "topic": self.topic.encode(),
            "topic-id": self.ids[self.topic].encode(),
            "partition": str(partition).encode(),
            "offset": str(offset).encode(),
            "group": (group or self.group).encode(),
            "state": b"not-applied",
            **{name.replace("_", "-"): text for name, text in about.items()},
        }
        ours: Headers = [(f"dead-letter.{name}", text) for name, text in told.items()]
        came = list(record.headers) if record else []
        return Sent(
            self.testbed.usecase.dead_letters_topic,
            record.value if record else b"?",
            record.key if record else None,
            headers=[*came, *ours],
        )

    def replay(self, offset: int, partition: int = 0, *, forged: bool = False) -> str:
        """Publish a record again, as a replay does; return the id of its first origin.

        `forged`: as somebody without the secret would.
        """
        origin = self.origin(offset, partition)
        (sent,) = self.testbed.tickets(1)
        made: Any = Replays(self.group, SecretStr(SECRET)).headers(
            Replay(record_id_of(origin), applied=False), sent.key, sent.value
        )
        headers = made[:2] if forged else made
        self.testbed.cluster.produce([replace(sent, partition=partition, headers=headers)])
        return origin

    def commit(self, *offsets: int, metadata: str | None = None) -> None:
        """Commit an offset for each partition, from 0 on."""
        config = {"bootstrap.servers": self.testbed.cluster.bootstrap, "group.id": self.group}
        with closing(Consumer(config)) as consumer:
            consumer.commit(
                offsets=[
                    TopicPartition(self.topic, number, offset, metadata)
                    if metadata
                    else TopicPartition(self.topic, number, offset)
                    for number, offset in enumerate(offsets)
                ],
                asynchronous=False,
            )
