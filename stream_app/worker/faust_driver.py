"""The Faust transport: one Faust message carries one poll's records.

Faust's price is paid per message, not per agent. So Faust sees a single carrier partition, assigned
once and for ever, whose messages are whole chunks; real partitions, rebalances, pausing and commits
are the client thread's. Faust's own acknowledgement and commit machinery stays idle: it would
commit past records in flight (`Consumer._new_offset`), and it drops messages of partitions that it
believes to be gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

from faust.transport import base
from faust.transport.consumer import Consumer as FaustConsumer
from faust.types.tuples import TP, ConsumerMessage
from mode import Service

from stream_app.records.chunk import Chunk

__all__ = ["ChunkConsumer", "Transport"]


class ChunkConsumer(FaustConsumer):  # type: ignore[misc]
    """Hands the client thread's chunks to Faust."""

    logger = logging.getLogger("faust.consumer")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._chunks: asyncio.Queue[Chunk] = asyncio.Queue()
        self._numbers = count()

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Called by Faust's conductor when the agents are ready: announce the carrier, consume."""
        carrier = TP(min(topics), 0)
        await self.app.topics.on_partitions_assigned({carrier})
        self.app.flow_control.resume()
        loop = asyncio.get_running_loop()
        self.app.worker.connect(
            lambda chunk: loop.call_soon_threadsafe(self._chunks.put_nowait, chunk),
            lambda error: loop.call_soon_threadsafe(self.app.fail, error),
        )
        self.add_future(self._carry(carrier))

    async def _carry(self, carrier: TP) -> None:
        while not self.should_stop:
            chunk = await self._chunks.get()
            # The number only rises: Faust drops a message below the offset it read last.
            await self.callback(
                ConsumerMessage(
                    topic=carrier.topic,
                    partition=carrier.partition,
                    offset=next(self._numbers),
                    timestamp=0.0,
                    timestamp_type=0,
                    headers=None,
                    key=None,
                    value=chunk,
                    checksum=None,
                    serialized_key_size=0,
                    serialized_value_size=0,
                    tp=carrier,
                    generation_id=self.app.consumer_generation_id,
                )
            )

    async def on_stop(self) -> None:
        """Finish what is under way, commit it and leave the group, within the drain time."""
        await asyncio.get_running_loop().run_in_executor(None, self.app.worker.drain)

    # Faust's acknowledgements mean nothing here: the client thread commits what is finished.

    def ack(self, message: Any) -> bool:
        """Note that a chunk was taken."""
        message.acked = True
        return True

    @Service.task  # type: ignore[untyped-decorator]
    async def _commit_handler(self) -> None:
        """Faust would commit here."""

    @Service.task  # type: ignore[untyped-decorator]
    async def _commit_livelock_detector(self) -> None:
        """Faust would look for partitions that stand still here; ours is the health endpoint."""

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:  # noqa: ARG002
        return False

    def assignment(self) -> set[TP]:
        """The real partitions assigned now."""
        return {TP(p.topic, p.number) for p in self.app.worker.partitions}

    # What Faust asks of a driver and this one has no use for.

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109
        raise NotImplementedError

    def _to_message(self, tp: TP, record: Any) -> Any:
        raise NotImplementedError

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Nothing to seek: the client thread starts where the group left off."""
        return {}

    async def _seek(self, partition: TP, offset: int) -> None:
        raise NotImplementedError

    async def create_topic(self, topic: str, *args: Any, **kwargs: Any) -> None:
        """Topics are made by those who run the cluster."""

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Nothing to seek."""

    async def position(self, tp: TP) -> int | None:  # noqa: ARG002
        """Unknown to Faust."""
        return None

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:  # noqa: ARG002
        """Unknown to Faust."""
        return {}

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:  # noqa: ARG002
        """Unknown to Faust; see the lag metrics."""
        return {}

    def highwater(self, tp: TP) -> int:  # noqa: ARG002
        """Unknown to Faust; see the lag metrics."""
        return 0

    def topic_partitions(self, topic: str) -> int | None:  # noqa: ARG002
        """Unknown to Faust."""
        return None

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> None:
        """Our producer is librdkafka's, which chooses partitions itself."""


class ChunkConductor(base.Conductor):  # type: ignore[misc]
    """Subscribes once the agents have started; there are no tables to wait for."""

    logger = logging.getLogger("faust.conductor")

    @Service.task  # type: ignore[untyped-decorator]
    async def _subscriber(self) -> None:
        await self.app.agents.wait_until_agents_started()
        await self.app.consumer.subscribe(await self._update_indices())


class Transport(base.Transport):  # type: ignore[misc]
    """Found by Faust through the scheme of the broker address."""

    Consumer = ChunkConsumer
    Conductor = ChunkConductor
    default_port = 9092
    driver_version = "confluent-chunks"
