"""arroyo, which Sentry's consumers stand on: strategies that hand messages on to each other.

``event``: `RunTask`, then a strategy that unfolds what it made, `Produce` and `CommitOffsets`.
``batch``: `BatchStep` in front of them. `Produce` writes to one topic, so dead letters are produced by the
task; arroyo's own dead-letter queue takes what a strategy refuses by `InvalidMessage`.

Guarantees: at least once; offsets are committed behind `Produce`. States count once, by the feature
library's fences.

python -m benchmarks.peers.arroyo_strategies event|batch
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from arroyo import Topic
from arroyo.backends.kafka import KafkaConsumer, KafkaPayload, KafkaProducer
from arroyo.backends.kafka.configuration import (
    build_kafka_configuration,
    build_kafka_consumer_configuration,
)
from arroyo.commit import IMMEDIATE
from arroyo.processing import StreamProcessor
from arroyo.processing.strategies import (
    BatchStep,
    CommitOffsets,
    ProcessingStrategy,
    ProcessingStrategyFactory,
    Produce,
    RunTask,
    Unfold,
)
from arroyo.types import BrokerValue, Commit, Message, Partition, Value

from benchmarks.contest.loops.library import Consumed, FeatureWork, Outgoing
from benchmarks.contest.surroundings import Surroundings, end_at_once_when_told

_BATCH: Final = 1_000
_BATCH_SECONDS: Final = 0.1


class _Strategies(ProcessingStrategyFactory[KafkaPayload]):  # type: ignore[misc]
    def __init__(self, surroundings: Surroundings, *, is_batch: bool) -> None:
        self._work, self._counter = FeatureWork(surroundings), surroundings.counter()
        self._is_batch = is_batch
        self._producer = KafkaProducer(
            build_kafka_configuration({}, bootstrap_servers=[surroundings.bootstrap])
        )

    def create_with_partitions(
        self, commit: Commit, partitions: Mapping[Partition, int]
    ) -> ProcessingStrategy[KafkaPayload]:
        """The chain, from its end."""
        del partitions
        produce: Any = Produce(
            self._producer, Topic(self._work.predictions), CommitOffsets(commit), 100_000
        )
        unfold: Any = Unfold(self._payloads, produce)
        if self._is_batch:
            return BatchStep(_BATCH, _BATCH_SECONDS, RunTask(self._of_batch, unfold))
        return RunTask(self._of_one, unfold)

    def _of_one(self, message: Message[KafkaPayload]) -> list[Outgoing]:
        return self._process([message.value])

    def _of_batch(self, message: Message[Any]) -> list[Outgoing]:
        return self._process(message.payload)

    def _process(self, values: Sequence[Any]) -> list[Outgoing]:
        done = self._work.compute(map(_consumed, values))
        self._work.write(done)
        self._counter.add(done.records)
        return done.outgoing

    def _payloads(self, made: list[Outgoing]) -> list[Value[KafkaPayload]]:
        found = []
        for topic, key, value, headers in made:
            payload = KafkaPayload(key, value or b"", headers)
            if topic == self._work.predictions:
                found.append(Value(payload, {}, None))
            else:
                self._producer.produce(Topic(topic), payload)
        return found


def _consumed(value: BrokerValue[KafkaPayload]) -> Consumed:
    place, payload = value.partition, value.payload
    return Consumed(place.topic.name, place.index, value.offset, payload.key, payload.value)


class _Topics(KafkaConsumer):  # type: ignore[misc]
    """`StreamProcessor` subscribes to one topic; the consumer takes several."""

    names: Sequence[str] = ()

    def subscribe(self, topics: Sequence[Topic], *args: Any, **options: Any) -> None:
        del topics
        super().subscribe([Topic(name) for name in self.names], *args, **options)


def main() -> None:
    """Run the processor."""
    surroundings = Surroundings.read()
    factory = _Strategies(surroundings, is_batch="batch" in sys.argv[1:])
    consumer = _Topics(
        build_kafka_consumer_configuration(
            {}, surroundings.group, "earliest", bootstrap_servers=[surroundings.bootstrap]
        )
    )
    consumer.names = factory._work.topics
    processor = StreamProcessor(
        consumer=consumer,
        topic=Topic(consumer.names[0]),
        processor_factory=factory,
        commit_policy=IMMEDIATE,
    )
    end_at_once_when_told()
    processor.run()


if __name__ == "__main__":
    main()
