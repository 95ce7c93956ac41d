"""Records as no honest client sends them: header names that are any bytes."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer
from aiokafka.producer import message_accumulator
from aiokafka.producer import producer as producer_module
from aiokafka.record import default_records

__all__ = ["RawRecord", "produce_raw"]


@dataclass
class RawRecord:
    """A record whose headers are bytes and bytes; `timestamp` in seconds."""

    topic: str
    partition: int
    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[bytes, bytes | None]] = field(default_factory=list)
    timestamp: float | None = None


class _Name(str):
    """A header's name that is encoded to the bytes it was made with."""

    __slots__ = ("raw",)

    raw: bytes

    def encode(self, *_: object) -> bytes:
        return self.raw


def _named(raw: bytes) -> _Name:
    name = _Name("name")
    name.raw = raw
    return name


def produce_raw(bootstrap: str, records: Iterable[RawRecord]) -> list[int]:
    """Produce in order; return the offset of each."""
    # The compiled builder takes no subclass of str.
    plain = default_records._DefaultRecordBatchBuilderPy
    message_accumulator.DefaultRecordBatchBuilder = plain
    producer_module.DefaultRecordBatchBuilder = plain

    async def produce() -> list[int]:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=2**20)
        await producer.start()
        try:
            sent = [
                await producer.send(
                    each.topic, each.value, each.key, each.partition,
                    None if each.timestamp is None else round(each.timestamp * 1_000),
                    [(_named(name), value) for name, value in each.headers],
                )
                for each in records
            ]  # fmt: skip
            return [(await future).offset for future in sent]
        finally:
            await producer.stop()

    return asyncio.run(produce())
