"""A transaction without an end is found in the log, with the producer whose it is."""

import struct
from pathlib import Path

from tests.chaos.open_transactions import open_in, open_transactions


def batch(offset: int, producer: int, *, attributes: int, epoch: int = 0) -> bytes:
    """A batch as it lies in a log, without records."""
    body = struct.pack(">ibIhiqqqhii", 0, 2, 0, attributes, 0, 0, 0, producer, epoch, 0, 0)
    return struct.pack(">qi", offset, len(body)) + body


WRITTEN, ENDED, PLAIN = 0x10, 0x30, 0x00


def test_what_was_ended_is_not_open() -> None:
    """Each producer's own; what is in no transaction does not count."""
    log = b"".join(
        [
            batch(0, 7, attributes=WRITTEN),
            batch(3, 8, attributes=WRITTEN, epoch=2),
            batch(5, -1, attributes=PLAIN),
            batch(6, 7, attributes=ENDED),
            batch(7, 8, attributes=WRITTEN, epoch=2),
        ]
    )
    assert open_in(log) == {8: (2, 3)}
    assert open_in(log + bytes(1_000)) == {8: (2, 3)}  # the file is made larger than the log


def test_they_are_told_by_partition(tmp_path: Path) -> None:
    """Of the topics that are asked for."""
    for name in ("out-0", "out-1", "other-0"):
        (tmp_path / name).mkdir()
        written = batch(4, 9, attributes=WRITTEN) if name != "out-0" else b""
        (tmp_path / name / "00000000000000000000.log").write_bytes(written)
    assert open_transactions(tmp_path, ["out"]) == ["out-1: of producer 9, epoch 0, since offset 4"]
