"""Records that no client library would write: a record batch and a Produce request, made by hand.

Header names may be any bytes, and there may be as many as you like; a few kilobytes can unpack to
hundreds of megabytes. Plaintext listeners only.

    write("127.0.0.1:9092", "events", 0, [RawRecord(b"{}", headers=[(b"\\xff", b"")])])
    write("127.0.0.1:9092", "events", 0, [RawRecord(bytes(300_000_000))], codec="zstd")
"""

import socket
import struct
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiokafka.record.util import calc_crc32c
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

__all__ = ["RawHeaders", "RawRecord", "batch", "write"]

RawHeaders = Sequence[tuple[bytes, bytes | None]]

_CODECS = {"none": 0, "gzip": 1, "zstd": 4}
_PRODUCE, _PRODUCE_VERSION = 0, 7  # the first that takes zstd
_ALL_REPLICAS = -1
_TIMEOUT_SECONDS = 20.0
_ELECTION_SECONDS = 5.0
_PROBE_SECONDS = 0.05
_NO_LEADER = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
_ZSTD_BLOCK = 128 * 1024


@dataclass(frozen=True)
class RawRecord:
    """A record as it lies in the log."""

    value: bytes | None
    key: bytes | None = None
    headers: RawHeaders = field(default_factory=list)
    timestamp: float | None = None
    """Seconds since the epoch; None: now."""


def write(
    bootstrap: str, topic: str, partition: int, records: Sequence[RawRecord], *, codec: str = "none"
) -> int:
    """Write one batch to the partition's leader; return the offset of its first record.

    A partition whose leader is not known yet, of a new topic for example, is asked for again: nothing
    was written then. Raises `KafkaException` where the broker refuses the batch, `OSError` where it
    does not answer; neither is tried again.
    """
    request = _request(topic, partition, batch(records, codec=codec))
    deadline = time.monotonic() + _ELECTION_SECONDS
    while True:
        try:
            return _send(*_leader(bootstrap, topic, partition), request)
        except KafkaException as error:
            if error.args[0].code() not in _NO_LEADER or time.monotonic() > deadline:
                raise
            time.sleep(_PROBE_SECONDS)


def _send(host: str, port: int, request: bytes) -> int:
    with socket.create_connection((host, port), timeout=_TIMEOUT_SECONDS) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        (length,) = struct.unpack(">i", _read(connection, 4))
        return _base_offset(_read(connection, length))


def batch(records: Sequence[RawRecord], *, codec: str = "none") -> bytes:
    """A record batch of format 2; `codec`: none, gzip or zstd."""
    now = time.time()
    stamps = [round((now if r.timestamp is None else r.timestamp) * 1_000) for r in records]
    first = stamps[0]
    body = b"".join(
        _record(record, number, stamp - first)
        for number, (record, stamp) in enumerate(zip(records, stamps, strict=True))
    )
    if codec == "gzip":
        packer = zlib.compressobj(wbits=31)
        body = packer.compress(body) + packer.flush()
    elif codec == "zstd":
        body = _zstd(body)
    checked = struct.pack(
        ">hiqqqhii",
        _CODECS[codec],
        len(records) - 1,
        first,
        max(stamps),
        -1,  # no producer id,
        -1,  # epoch
        -1,  # or sequence
        len(records),
    )
    checked += body
    head = struct.pack(">ibI", -1, 2, calc_crc32c(checked))
    return struct.pack(">qi", 0, len(head) + len(checked)) + head + checked


def _record(record: RawRecord, number: int, stamp: int) -> bytes:
    parts = [b"\0", _varint(stamp), _varint(number), _sized(record.key), _sized(record.value)]
    parts.append(_varint(len(record.headers)))
    for name, value in record.headers:
        parts += [_sized(name), _sized(value)]
    body = b"".join(parts)
    return _varint(len(body)) + body


def _sized(data: bytes | None) -> bytes:
    return _varint(-1) if data is None else _varint(len(data)) + data


def _varint(number: int) -> bytes:
    """A signed number as Kafka writes it: small ones in one byte, seven bits a byte."""
    left = (number << 1) ^ (number >> 63)
    out = bytearray()
    while left & ~0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


def _zstd(data: bytes) -> bytes:
    """A zstd frame that packs nothing but long runs of one byte: blocks of four bytes each."""
    raw, run = 0, 1
    # No content size, no checksum; a window of 128 KiB.
    parts = [b"\x28\xb5\x2f\xfd\x00\x38"]
    starts = range(0, len(data), _ZSTD_BLOCK)
    for start in starts:
        block = data[start : start + _ZSTD_BLOCK]
        kind = run if block.count(block[:1]) == len(block) else raw
        last = start == starts[-1]
        head = int(last) | kind << 1 | len(block) << 3
        parts.append(head.to_bytes(3, "little") + (block[:1] if kind == run else block))
    return b"".join(parts)


def _leader(bootstrap: str, topic: str, partition: int) -> tuple[str, int]:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    known = admin.list_topics(topic, timeout=_TIMEOUT_SECONDS)
    found = known.topics[topic].partitions.get(partition)
    if found is None or found.leader not in known.brokers:
        raise KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
    broker = known.brokers[found.leader]
    return broker.host, broker.port


def _request(topic: str, partition: int, records: bytes) -> bytes:
    """A Produce request: https://kafka.apache.org/protocol#The_Messages_Produce."""
    return b"".join(
        [
            struct.pack(">hhi", _PRODUCE, _PRODUCE_VERSION, 1),
            _string("raw-records"),
            struct.pack(">h", -1),  # no transaction
            struct.pack(">hi", _ALL_REPLICAS, round(_TIMEOUT_SECONDS * 1_000)),
            struct.pack(">i", 1),
            _string(topic),
            struct.pack(">iii", 1, partition, len(records)),
            records,
        ]
    )


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def _base_offset(response: bytes) -> int:
    # Correlation id, number of topics, the topic's name; then its one partition.
    (name_length,) = struct.unpack_from(">h", response, 8)
    _, _, code, offset = struct.unpack_from(">iihq", response, 10 + name_length)
    if code:
        raise KafkaException(KafkaError(code))
    return int(offset)


def _read(connection: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise ConnectionResetError("the broker closed the connection")
        data += part
    return bytes(data)
