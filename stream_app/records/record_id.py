"""The name of a record for ever: topic id, partition, offset. Prediction ids are made of it."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

__all__ = ["RecordId", "record_id_of", "record_name"]

#: A topic id is 16 bytes in base64url; partitions are 32-bit numbers, offsets 64-bit ones.
_ORIGIN: Final = re.compile(
    r"([A-Za-z0-9_-]{22})-(0|[1-9][0-9]{0,9})-(0|[1-9][0-9]{0,18})", re.ASCII
)
_LONGEST: Final = 22 + 1 + 10 + 1 + 19


class RecordId(NamedTuple):
    """A record of one incarnation of a topic."""

    topic_id: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """The name that prediction ids and `replay-of` give it."""
        return record_name(self.topic_id, self.partition, self.offset)


def record_name(topic_id: str, partition: int, offset: int) -> str:
    """The name of a record, as `record_id_of` reads it.

    Apart from `RecordId`, since one is written for every prediction.
    """
    return f"{topic_id}-{partition}-{offset}"


def record_id_of(named: str) -> RecordId:
    """From TOPIC-ID-PARTITION-OFFSET; raises `ValueError` for what can be no record's name.

    Whoever produces events may write such a name: it is bounded, and there is one way to write it.
    """
    matched = _ORIGIN.fullmatch(named) if len(named) <= _LONGEST else None
    if matched is None:
        raise ValueError("not the name of a record")
    topic_id, partition, offset = matched.groups()
    found = RecordId(topic_id, int(partition), int(offset))
    if found.partition >= 2**31 or found.offset >= 2**63:
        raise ValueError("not the name of a record")
    return found
