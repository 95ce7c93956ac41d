"""What is done for each record that waits for its turn: it is taken in, and given its order key once decoded.

`stream_app.compiled.turns` has the counterparts, which do the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from stream_app.alignment.lane import Held, Lane
from stream_app.compiled import compiled_module
from stream_app.features.engine.arrival import NEVER
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.record import Record

__all__ = ["Keyed", "hold", "hold_in_python", "keyed", "keyed_in_python"]

#: A decoded record behind its order key, flat: tuples within tuples are slower to compare. None for
#: the item where too many became known at one moment to hold all of them decoded.
Keyed = tuple[float, float, int, int, Item | None, Record]


def hold_in_python(
    records: Iterable[Record], held: list[Held], known_at: float, rank: int
) -> tuple[float, int]:
    """Put the next records of a partition behind those that are held.

    `known_at`: the latest moment that records of the partition became known so far, in seconds. Returns
    what it is now, and the bytes of the records.
    """
    taken = 0
    for record in records:
        known_at = max(known_at, record.known_at)
        held.append((known_at, rank, record.offset, record))
        taken += record.size
    return known_at, taken


def keyed_in_python(
    items: Iterable[Item], tied: list[Keyed], lanes: Mapping[Partition, Lane], room: int
) -> int:
    """Put decoded records behind those in `tied`, the first `room` of them as items; return how many so."""
    decoded = 0
    for item in items:
        record = item.record
        event_time = NEVER if item.event is None else item.event_time
        key = lanes[record.partition].order.key(record.known_at, event_time, item.offset)
        if decoded < room:
            decoded += 1
            tied.append((*key, item, record))
        else:
            tied.append((*key, None, record))
    return decoded


_compiled: Final[Any] = compiled_module("turns")
hold = hold_in_python if _compiled is None else _compiled.hold
keyed = keyed_in_python if _compiled is None else _compiled.keyed
