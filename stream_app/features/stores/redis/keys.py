"""The names of an application's keys.

For application A, bucket B and generation G:

    {A:B}:G:<layout>:<view>:<entity>  packed state
    {A:B}:G:marks                     hash: <layout>:<view>:<source> -> offset applied through
    {A:B}:generation                  number of the current generation (absent: 0)
    {A:B}:sources                     hash: cluster/topic/partition -> source; "/": the cluster
    {A:B}:buckets                     number of buckets

The braces are Redis Cluster's hash tag: all keys of a bucket share a slot, so that one MGET and one
script call a bucket are enough. What belongs to the whole application is in every bucket: bucket 0
decides, the others are the copies from which it is told again what its node may have lost.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

from stream_app.features.stores.codec import layout_of
from stream_app.features.views import View

__all__ = ["Keys"]

# What SCAN's patterns take for more than itself.
_GLOB = re.compile(r"([*?\[\]\\^-])")


class Keys:
    """The keys of one generation of an application's states."""

    def __init__(
        self, application: str, views: Sequence[View], buckets: int, generation: int
    ) -> None:
        self.generation = generation
        self.buckets = buckets
        self._application = application
        self.tags = [f"{{{application}:{bucket}}}" for bucket in range(buckets)]
        self._owners = {tag.encode(): bucket for bucket, tag in enumerate(self.tags)}
        self.names = [f"{layout_of(view)}:{view.name}" for view in views]
        """What the marks of a view begin with, but for the last colon."""
        self.states = [[f"{tag}:{generation}:{name}:" for name in self.names] for tag in self.tags]
        """What the states of a view begin with, by bucket and view."""
        self.marks = [f"{tag}:{generation}:marks" for tag in self.tags]
        self.current = [f"{tag}:generation" for tag in self.tags]
        self.sources = [f"{tag}:sources" for tag in self.tags]
        self.sizes = [f"{tag}:buckets" for tag in self.tags]

    def bucket(self, entity: str) -> int:
        """The bucket that an entity's states are in."""
        return zlib.crc32(entity.encode()) % self.buckets if self.buckets > 1 else 0

    @property
    def pattern(self) -> str:
        """Matches all keys of the generation, and perhaps some that `owner` disowns."""
        application = _GLOB.sub(r"\\\1", self._application)
        return f"{{{application}:*}}:{self.generation}:*"

    def owner(self, key: bytes) -> int | None:
        """The bucket of a key of this generation, None for any other key."""
        tag, brace, rest = key.partition(b"}")
        if not rest.startswith(b":%d:" % self.generation):
            return None
        return self._owners.get(tag + brace)
