"""Sizes that the brokers refused of records that came alone, believed for a while.

To learn that a size is refused costs a transaction, which takes librdkafka about half a second to
abort. Another record of the same topic and kind would be refused as well if it is no smaller, both
as it is and compressed. Its length alone does not tell, because producers compress.
"""

from __future__ import annotations

import time
import zlib
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from stream_app.records.batch import Outgoing

__all__ = ["RefusedSizes", "length_of"]

_SECONDS: Final = 60.0
"""Afterwards one record is tried again: a topic may take more than it did."""
_MOST: Final = 16
"""Sizes kept for a topic and kind, the last refused."""

_Size = tuple[int, int]


class RefusedSizes:
    """What was refused for its size, and what else therefore need not be tried."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`monotonic`: a clock in seconds."""
        self._monotonic = monotonic
        self._sizes: defaultdict[tuple[str, str], list[_Size]] = defaultdict(list)
        self._until = 0.0

    def add(self, outgoing: Outgoing) -> None:
        """Remember a record that was refused for its size when it came alone."""
        if not self:
            self._until = self._monotonic() + _SECONDS
        sizes = self._sizes[outgoing.topic, outgoing.kind]
        sizes.append((length_of(outgoing), _packed(outgoing)))
        del sizes[:-_MOST]

    def __bool__(self) -> bool:
        """Whether anything is believed."""
        if self._sizes and self._monotonic() > self._until:
            self._sizes.clear()
        return bool(self._sizes)

    def __contains__(self, outgoing: Outgoing) -> bool:
        """Whether the brokers would refuse a record."""
        sizes = self._sizes.get((outgoing.topic, outgoing.kind))
        if outgoing.fits or not sizes:
            return False
        length = length_of(outgoing)
        least = min((packed for refused, packed in sizes if refused <= length), default=None)
        return least is not None and _packed(outgoing) >= least


def length_of(outgoing: Outgoing) -> int:
    """Bytes of key, value and headers."""
    return sum(map(len, _parts(outgoing)))


def _packed(outgoing: Outgoing) -> int:
    return len(zlib.compress(b"".join(_parts(outgoing)), level=1))


def _parts(outgoing: Outgoing) -> list[bytes]:
    parts = [outgoing.key or b"", outgoing.value or b""]
    for name, value in outgoing.headers:
        parts += [name.encode(), value.encode() if isinstance(value, str) else value or b""]
    return parts
