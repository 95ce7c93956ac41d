"""Which transactions are open in a topic's log, read from a broker's own files.

No client tells: who reads committed records just sees no further. The log says whose they are.
"""

import struct
from collections.abc import Collection
from pathlib import Path

__all__ = ["open_in", "open_transactions"]

_HEAD = struct.Struct(">qiibIhiqqqh")
"""Of a batch: offset, length, leader epoch, magic, checksum, attributes, last offset, two times,
producer, its epoch."""
_LENGTH_COUNTS_FROM = 12
_TRANSACTIONAL, _CONTROL = 0x10, 0x20


def open_transactions(data: Path, topics: Collection[str]) -> list[str]:
    """In words, by partition; `data`: where a broker keeps its logs."""
    found = []
    for folder in sorted(data.iterdir()):
        if folder.name.rpartition("-")[0] in topics:
            log = b"".join(file.read_bytes() for file in sorted(folder.glob("*.log")))
            found += [
                f"{folder.name}: of producer {producer}, epoch {epoch}, since offset {offset}"
                for producer, (epoch, offset) in open_in(log).items()
            ]
    return found


def open_in(log: bytes) -> dict[int, tuple[int, int]]:
    """By producer, its epoch and the first offset of a transaction that has no end in the log."""
    found: dict[int, tuple[int, int]] = {}
    at = 0
    while at + _HEAD.size <= len(log):
        offset, length, _, _, _, attributes, _, _, _, producer, epoch = _HEAD.unpack_from(log, at)
        if length <= 0:
            break  # the rest of the file is not written yet
        if attributes & _CONTROL:
            found.pop(producer, None)
        elif attributes & _TRANSACTIONAL:
            found.setdefault(producer, (epoch, offset))
        at += _LENGTH_COUNTS_FROM + length
    return found
