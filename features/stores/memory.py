"""States in memory: for tests, and for trying a use case without a Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence

from features.codec import version_bytes
from features.stores.contract import Source, StateWrite
from features.views import FeatureSet

__all__ = ["MemoryStore"]


class MemoryStore:
    """A `Store` that lives and dies with its process; safe to share between threads."""

    def __init__(self, features: FeatureSet) -> None:
        self._views = len(features.views)
        self._states: list[dict[str, bytes]] = [{} for _ in features.views]
        self._marks: list[dict[int, int]] = [{} for _ in features.views]
        self._sources: dict[str, int] = {}
        self._lock = threading.Lock()

    def register(self, sources: Sequence[Source]) -> list[int]:
        """Give each source its small integer."""
        with self._lock:
            return [self._sources.setdefault(str(s), len(self._sources) + 1) for s in sources]

    def first_version(self) -> int:
        """Microseconds since the epoch, as the Redis store takes them from Redis."""
        return time.time_ns() // 1000

    def read(self, wanted: Sequence[Collection[str]]) -> list[list[tuple[str, bytes]]]:
        """For each view, the pairs that exist among the wanted ones."""
        with self._lock:
            return [
                [(entity, states[entity]) for entity in entities if entity in states]
                for entities, states in zip(wanted, self._states, strict=True)
            ]

    def write(
        self, writes: Sequence[StateWrite], progress: Mapping[int, int]
    ) -> list[tuple[StateWrite, bytes | None]]:
        """Compare and set, then note the progress; return the writes that were lost."""
        lost: list[tuple[StateWrite, bytes | None]] = []
        with self._lock:
            for write in writes:
                present = self._states[write.view].get(write.entity)
                (expected,) = version_bytes([write.expected])
                if (present or b"")[:8] != expected and present != write.packed:
                    lost.append((write, present))
                else:
                    self._states[write.view][write.entity] = write.packed
            for marks in self._marks:
                marks.update(progress)
        return lost

    def marks(self) -> list[dict[int, int]]:
        """For each view, the offset each source is applied through."""
        with self._lock:
            return [dict(marks) for marks in self._marks]

    def close(self) -> None:
        """Nothing to let go of."""
