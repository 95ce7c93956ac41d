"""What an output must have in common with its record, in 12 bytes a record.

An audit reads records first and outputs afterwards, and keeps neither: it keeps three 32-bit digests
of each record. They are seeded anew in each process (`hash` is), so nobody can aim at a collision;
an output of another record passes by chance once in four billion.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from stream_app.records.record_id import RecordId

__all__ = ["NO_EVENT", "Identity", "bytes_digest", "event_digest", "omitted_digest"]

_MASK: Final = 2**32 - 1

NO_EVENT: Final = 0


class Identity(NamedTuple):
    """Digests of one record."""

    key: int
    value: int
    event: int
    """Of the event's id and time, and of the first origin where it is a replay."""


def bytes_digest(data: bytes | None) -> int:
    """Of a key or a value."""
    if data is None:
        return hash(("absent",)) & _MASK
    return omitted_digest(len(data), hashlib.sha256(data).digest())


def omitted_digest(length: int, sha256: bytes) -> int:
    """Of bytes that are known by their length and SHA-256 alone."""
    return hash((length, sha256)) & _MASK


def event_digest(event_id: object, event_time: object, first_origin: RecordId | None) -> int:
    """Of what a prediction repeats of its event."""
    try:
        if isinstance(event_id, str):
            # Bytes, since the hash of a string enumeration's member is not that of its text.
            event_id = event_id.encode("utf-8", "surrogatepass")
        return hash((event_id, event_time, first_origin)) & _MASK
    except Exception:  # noqa: BLE001 - a use case's decoder may put anything into an event
        return NO_EVENT
