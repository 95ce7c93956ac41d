"""A batch made by hand is one that a client library can read."""

import gzip
import struct

import pytest
from aiokafka.record.memory_records import MemoryRecords

from tests.raw_records import RawRecord, batch

_HEAD_BYTES = 61

RECORDS = [
    RawRecord(b"one", b"k", [(b"shift", b"1"), (b"none", None)], 1_700_000_000.0),
    RawRecord(None, timestamp=1_699_999_000.5),
    RawRecord(bytes(70_000), timestamp=1_700_000_001.0),
]


@pytest.mark.parametrize("codec", ["none", "gzip"])
def test_a_client_reads_what_was_put_in(codec: str) -> None:
    """Keys, values and their absence, headers, and times that go back."""
    read = MemoryRecords(batch(RECORDS, codec=codec)).next_batch()
    assert read is not None
    assert read.validate_crc()
    found = [(r.key, r.value, r.headers, r.timestamp / 1_000) for r in read]
    wanted = [
        (r.key, r.value, [(name.decode(), value) for name, value in r.headers], r.timestamp)
        for r in RECORDS
    ]
    assert found == wanted


def test_a_header_name_may_be_any_bytes() -> None:
    """They are in the batch as they were given."""
    assert b"\xff\xfe" in batch([RawRecord(b"", headers=[(b"\xff\xfe", None)])])


def test_a_batch_can_unpack_to_much_more_than_it_is() -> None:
    """A bomb: twenty megabytes in less than one, with either codec."""
    bomb = [RawRecord(bytes(20_000_000))]
    packed = batch(bomb, codec="gzip")
    assert len(packed) < 100_000
    assert len(gzip.decompress(packed[_HEAD_BYTES:])) > 20_000_000
    packed = batch(bomb, codec="zstd")
    assert len(packed) < 500_000
    assert struct.unpack_from("<I", packed, _HEAD_BYTES) == (0xFD2FB528,)
