"""Quix Streams: a dataframe over the topics, as its documentation shows it, or a sink that takes batches.

``event``: `apply` is called for each record, and what it returns goes to a topic. ``batch``: there is no
batch in a dataframe but that of a `BatchingSink`, which is given each partition's records when a
checkpoint is made; it scores them and produces with a producer of its own. Quix has a state of its own
(RocksDB and changelog topics); here it is in Redis, as everybody's.

Guarantees: at least once; a checkpoint commits offsets after the producer was flushed. States count once,
by the feature library's fences.

python -m benchmarks.peers.quix event|batch
"""

from __future__ import annotations

import sys
from functools import reduce
from typing import Any, Final

from confluent_kafka import Producer
from quixstreams import Application, message_context
from quixstreams.sinks import BatchingSink, SinkBatch

from benchmarks.contest.loops.library import Consumed, FeatureWork, Outgoing
from benchmarks.contest.surroundings import Surroundings, end_at_once_when_told

_CHECKPOINT_RECORDS: Final = 4_096


class _Scores(BatchingSink):  # type: ignore[misc]
    """Scores what came of a partition since the last checkpoint."""

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__()
        self._work, self._counter = FeatureWork(surroundings), surroundings.counter()
        self._producer = Producer(
            {"bootstrap.servers": surroundings.bootstrap, "enable.idempotence": True}
        )

    def write(self, batch: SinkBatch) -> None:
        """Called at a checkpoint; the offsets are committed afterwards."""
        done = self._work.compute(
            Consumed(batch.topic, batch.partition, item.offset, item.key, item.value)
            for item in batch
        )
        for topic, key, value, headers in done.outgoing:
            self._producer.produce(topic, value, key, headers=headers)
        self._producer.flush()
        self._work.write(done)
        self._counter.add(done.records)


def _per_event(app: Application, frame: Any, surroundings: Surroundings) -> None:
    work, counter = FeatureWork(surroundings), surroundings.counter()

    def process(value: bytes, key: bytes, _timestamp: int, _headers: Any) -> list[Outgoing]:
        at = message_context()
        done = work.compute([Consumed(at.topic, at.partition, at.offset, key, value)])
        work.write(done)
        counter.add(1)
        return done.outgoing

    made = frame.apply(process, metadata=True, expand=True)
    for name in (work.predictions, work.dead_letters):
        out = app.topic(name, value_serializer="bytes", key_serializer="bytes")

        def is_for(outgoing: Outgoing, name: str = name) -> bool:
            return outgoing.topic == name

        made.filter(is_for).apply(_value).to_topic(out)


def _value(outgoing: Outgoing) -> bytes | None:
    return outgoing.value


def main() -> None:
    """Run the application."""
    surroundings = Surroundings.read()
    app = Application(
        broker_address=surroundings.bootstrap,
        consumer_group=surroundings.group,
        auto_offset_reset="earliest",
        auto_create_topics=False,
        use_changelog_topics=False,
        commit_every=_CHECKPOINT_RECORDS if "batch" in sys.argv[1:] else 0,
        loglevel="WARNING",
    )
    from features.flights import usecase

    frames = [
        app.dataframe(app.topic(topic.name, value_deserializer="bytes", key_deserializer="bytes"))
        for topic in usecase.topics
    ]
    frame = reduce(lambda one, other: one.concat(other), frames)
    if "batch" in sys.argv[1:]:
        frame.sink(_Scores(surroundings))
    else:
        _per_event(app, frame, surroundings)
    end_at_once_when_told()
    app.run()


if __name__ == "__main__":
    main()
