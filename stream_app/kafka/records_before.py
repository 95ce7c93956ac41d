"""What stands before records in their logs, read from the brokers once more."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from stream_app.errors import ServiceAwayError
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.log_reader import read_ranges
from stream_app.records.places import PartitionId

__all__ = ["timestamps_before"]

_OFFSETS: Final = 20
"""So many of a partition are read, those of transaction markers among them."""
_SECONDS: Final = 10.0


def timestamps_before(brokers: Brokers, offsets: Mapping[PartitionId, int]) -> list[float]:
    """Timestamps of up to 20 records right before an offset of each partition, where they have one.

    In seconds since the epoch. Raises `ServiceAwayError` where they do not come within 10 s.
    """
    starts = brokers.starts(offsets)
    ranges = {p: (max(starts[p], offset - _OFFSETS), offset) for p, offset in offsets.items()}
    found: list[float] = []
    deadline = time.monotonic() + _SECONDS
    reader = brokers.log_reader()
    try:
        for messages in read_ranges(reader, ranges):
            stamps = [message.timestamp() for message in messages]
            found += [milliseconds / 1_000.0 for kind, milliseconds in stamps if kind]
            if time.monotonic() > deadline and not reader.is_done:
                raise ServiceAwayError("kafka", "the records before those that came cannot be read")
    finally:
        reader.close()
    return found
