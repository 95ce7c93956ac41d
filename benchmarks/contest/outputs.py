"""What a contender published, read back from its topics."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final, Self

from confluent_kafka import Consumer, TopicPartition
from msgspec import json

from benchmarks.contest.backlogs import OUTPUTS

__all__ = ["Outputs", "Seen"]

_QUIET_SECONDS: Final = 3.0
_RECORDS: Final = 2_000


@dataclass
class Seen:
    """Predictions and dead letters that were read."""

    predictions: Counter[str] = field(default_factory=Counter)
    """How often each event was predicted, by its id."""
    dead_letters: int = 0

    @property
    def doubles(self) -> int:
        """Predictions of an event that had one before."""
        return self.predictions.total() - len(self.predictions)


class Outputs:
    """Reads what comes from now on; committed records alone, as who acts on them would."""

    def __init__(self, bootstrap: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "contest-observer",  # asked for by the client, never joined
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                # Nothing is fetched before it is read.
                "auto.offset.reset": "error",
            }
        )
        self._ends = [
            TopicPartition(topic, number, self._end(topic, number))
            for topic in OUTPUTS
            for number in self._consumer.list_topics(topic).topics[topic].partitions
        ]

    def _end(self, topic: str, number: int) -> int:
        end: int = self._consumer.get_watermark_offsets(TopicPartition(topic, number))[1]
        return end

    def seen(self, expected: int, *, quiet_seconds: float = _QUIET_SECONDS) -> Seen:
        """What came since this was made: until so many events are predicted or nothing comes."""
        found = Seen()
        self._consumer.assign(self._ends)
        last = time.monotonic()
        while time.monotonic() - last < quiet_seconds:
            for message in self._consumer.consume(_RECORDS, 0.2):
                if message.error() is not None:
                    continue
                last = time.monotonic()
                self._note(message, found)
            if len(found.predictions) >= expected > 0 and quiet_seconds == _QUIET_SECONDS:
                break
        self._consumer.unassign()
        return found

    def _note(self, message: Any, found: Seen) -> None:
        if message.topic() == OUTPUTS[0]:
            found.predictions[json.decode(message.value())["event_id"]] += 1
        else:
            found.dead_letters += 1

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
