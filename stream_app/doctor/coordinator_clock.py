"""What the clock of a broker says, read off the offsets that are committed while it is looked.

Brokers do not tell the time. But the one that coordinates a group stamps what it writes of the group into
`__consumer_offsets`, by its own clock. What is written between two looks was written between two moments
of the clock here, so both directions are seen: a stamp that is earlier than both is of a clock behind.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from stream_app.doctor.finding import Finding, ok, warning
from stream_app.errors import RefusedError
from stream_app.kafka.brokers import Brokers
from stream_app.records.places import PartitionId

__all__ = ["coordinator_clock", "offsets_partition"]

_OFFSETS: Final = "__consumer_offsets"
_OFF_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 2.0
"""Workers commit many times a second while there is work."""
_AGAIN_SECONDS: Final = 0.1


def coordinator_clock(brokers: Brokers, application: str) -> Iterator[Finding]:
    """Whether the clock of the group's coordinator is off against the one here; nothing of a group at rest."""
    if not brokers.members(application):
        return
    try:
        found = _stamped(brokers, application)
    except RefusedError:
        yield ok(
            "clocks",
            f"what the brokers' clock says is not known: that takes Describe on topic {_OFFSETS}",
        )
        return
    if found is None:
        yield ok(
            "clocks",
            f"nothing was committed for {_LOOK_SECONDS:g} s, so what the brokers' clock says is not known",
        )
        return
    behind, ahead, is_new = found
    if ahead > _OFF_SECONDS and not is_new:
        yield ok(
            "clocks",
            f"offsets of group {application}, or of one that is kept beside it, were once stamped {ahead:,.0f} s "
            "ahead of the clock here; until then what the brokers' clock says is not known",
        )
        return
    whose = f"the broker that coordinates group {application}"
    if behind > _OFF_SECONDS or ahead > _OFF_SECONDS:
        off = f"{behind:,.0f} s behind" if behind > ahead else f"{ahead:,.0f} s ahead of"
        yield warning("clocks", f"{whose} stamps offsets {off} the clock here: set both by NTP")
    else:
        yield ok("clocks", f"{whose} has the time of the clock here")


def _stamped(brokers: Brokers, group: str) -> tuple[float, float, bool] | None:
    """By how many seconds at least the coordinator's clock is behind, and ahead, and whether by a new stamp.

    None if it wrote nothing.
    """
    place = offsets_partition(group, brokers.partitions(_OFFSETS, f"finding group {group}"))
    known = brokers.newest_at([place]).get(place, 0.0)
    before, end = time.time(), brokers.ends([place])[place]
    deadline = time.monotonic() + _LOOK_SECONDS
    while brokers.ends([place])[place] <= end:
        if time.monotonic() > deadline:
            return None
        time.sleep(_AGAIN_SECONDS)
    # The latest stamp of all: of an earlier record, if that is later. So a clock is never wrongly behind, and
    # what was stamped by a clock that was ahead, and is mended, can be told from what is stamped now.
    stamped = brokers.newest_at([place])[place]
    return before - stamped, stamped - time.time(), stamped > known


def offsets_partition(group: str, partitions: int) -> PartitionId:
    """Where brokers keep what a group commits: by the hash that Java has of its name."""
    units = group.encode("utf-16-be", "surrogatepass")
    value = 0
    for high, low in zip(units[::2], units[1::2], strict=True):
        value = (31 * value + (high << 8 | low)) & 0xFFFFFFFF
    # As a signed number: its absolute value, and 0 for the one number that has none.
    magnitude = min(value, 2**32 - value) % 2**31
    return PartitionId(_OFFSETS, magnitude % partitions)
