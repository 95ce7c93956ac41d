"""bytewax: a dataflow with Kafka's connectors, an item at a time or in the source's own batches.

``event``: `map` over each message, with a source that is asked for little, as low latency wants it.
``batch``: `flat_map_batch`, which is given what one poll of a partition brought.

Guarantees: without a recovery store, as in most of its examples, none: started again, it reads all
topics from their beginning. States count once all the same, by the feature library's fences; predictions
are published again.

python -m benchmarks.peers.bytewax_flow event|batch
"""

from __future__ import annotations

import sys
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.testing import cluster_main

from benchmarks.contest.loops.library import Consumed, FeatureWork
from benchmarks.contest.surroundings import Surroundings, end_at_once_when_told


def main() -> None:
    """Run the flow with one worker in this process."""
    surroundings = Surroundings.read()
    is_batch = "batch" in sys.argv[1:]
    work, counter = FeatureWork(surroundings), surroundings.counter()

    def process(messages: list[Any]) -> list[KafkaSinkMessage[Any, Any]]:
        done = work.compute(
            Consumed(m.topic, m.partition, m.offset, m.key, m.value) for m in messages
        )
        work.write(done)
        counter.add(done.records)
        return [
            KafkaSinkMessage(key, value, topic, headers)
            for topic, key, value, headers in done.outgoing
        ]

    flow = Dataflow("flights")
    source = KafkaSource([surroundings.bootstrap], work.topics)
    messages = op.input("events", flow, source)
    if is_batch:
        made = op.flat_map_batch("score", messages, process)
    else:
        made = op.flat_map("score", messages, lambda message: process([message]))
    op.output("out", made, KafkaSink([surroundings.bootstrap], None))
    end_at_once_when_told()
    cluster_main(flow, [], 0)


if __name__ == "__main__":
    main()
