"""FastStream on confluent-kafka: a subscriber that is called for each message, or for many at once.

What its function makes is published by the broker object, as documented. The state is in Redis, asked by a
client that blocks: a subscriber of one worker has nothing else to do meanwhile.

Guarantees: with the policy asked for here (`NACK_ON_ERROR`) offsets are committed after the function
returned; by default they are committed before. Predictions are acknowledged by then, for `publish` waits.
States count once, by the feature library's fences.

python -m benchmarks.peers.fast_stream event|batch
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from typing import Any, Final

from faststream import AckPolicy, FastStream
from faststream.confluent import KafkaBroker, KafkaMessage

from benchmarks.contest.loops.library import Consumed, FeatureWork
from benchmarks.contest.surroundings import Surroundings

_MOST_RECORDS: Final = 1_000


def _consumed(message: Any) -> Consumed:
    return Consumed(
        message.topic(), message.partition(), message.offset(), message.key(), message.value()
    )


async def main() -> None:
    """Run the application."""
    surroundings = Surroundings.read()
    work, counter = FeatureWork(surroundings), surroundings.counter()
    broker = KafkaBroker(surroundings.bootstrap, log_level=logging.WARNING)
    is_batch = "batch" in sys.argv[1:]

    async def process(messages: Sequence[Any]) -> None:
        done = work.compute(map(_consumed, messages))
        await asyncio.gather(
            *(
                broker.publish(
                    out.value,
                    topic=out.topic,
                    key=out.key,
                    headers={name: _text(value) for name, value in out.headers},
                )
                for out in done.outgoing
            )
        )
        work.write(done)
        counter.add(done.records)

    async def as_it_is(message: KafkaMessage) -> Any:
        return message.body

    options: dict[str, Any] = {
        "group_id": surroundings.group,
        "auto_offset_reset": "earliest",
        "ack_policy": AckPolicy.NACK_ON_ERROR,
        "decoder": as_it_is,
    }
    if is_batch:

        @broker.subscriber(*work.topics, batch=True, max_records=_MOST_RECORDS, **options)  # type: ignore[untyped-decorator]
        async def many(_: list[Any], message: KafkaMessage) -> None:
            await process(message.raw_message)
    else:

        @broker.subscriber(*work.topics, **options)  # type: ignore[untyped-decorator]
        async def one(_: Any, message: KafkaMessage) -> None:
            await process([message.raw_message])

    await FastStream(broker).run(log_level=logging.WARNING)


def _text(value: str | bytes | None) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    asyncio.run(main())
