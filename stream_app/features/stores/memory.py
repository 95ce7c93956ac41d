"""States in memory: for tests, and for trying a use case without a Redis."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from stream_app.features.stores.codec import version_bytes
from stream_app.features.stores.contract import (
    Progress,
    Source,
    StateLostError,
    StateWrite,
    another_cluster,
    cluster_of,
)
from stream_app.features.views import FeatureSet

__all__ = ["MemoryStore"]


@dataclass
class _Shared:
    """What all generations of a store have in common."""

    current: int = 0
    cluster: str = ""
    sources: dict[str, int] = field(default_factory=dict)
    generations: dict[int, tuple[list[dict[str, bytes]], list[dict[int, int]]]] = field(
        default_factory=dict
    )
    """States and marks of each generation, by view."""
    lock: threading.RLock = field(default_factory=threading.RLock)


class MemoryStore:
    """A `Store` that lives and dies with its process; safe to share between threads."""

    def __init__(self, features: FeatureSet) -> None:
        self._features = features
        self._shared = _Shared()
        self._adopted = ""
        self._turn_to(0, predecessor=0)

    def _turn_to(self, generation: int, predecessor: int) -> None:
        self._generation = generation
        self._expected_current = predecessor
        empty: tuple[list[dict[str, bytes]], list[dict[int, int]]] = (
            [{} for _ in self._features.views],
            [{} for _ in self._features.views],
        )
        self._states, self._marks = self._shared.generations.setdefault(generation, empty)

    @property
    def generation(self) -> int:
        """Number of this store's generation."""
        return self._generation

    def register(self, sources: Sequence[Source], *, adopt: bool = False) -> list[int]:
        """Give each source its small integer."""
        known, cluster = self._shared.sources, cluster_of(sources)
        with self._shared.lock:
            if adopt:
                self._adopted = cluster
            elif cluster:
                self._shared.cluster = self._shared.cluster or cluster
                if self._shared.cluster != cluster:
                    raise another_cluster(self._shared.cluster, cluster)
            return [known.setdefault(str(source), len(known) + 1) for source in sources]

    def check_access(self) -> None:
        """Memory lets everything be done."""

    def _check(self, progress: Sequence[Progress]) -> None:
        if self._shared.current != self._expected_current:
            raise StateLostError(
                f"generation {self._shared.current} of the state is the current one, "
                f"{self._expected_current} was expected"
            )
        marks = self._marks[0] if self._marks else {}
        for each in progress:
            found = marks.get(each.source, -1)
            if found < each.expected:
                raise StateLostError(
                    f"source {each.source} is applied through offset {found}, {each.expected} was "
                    "expected"
                )

    def read(
        self, wanted: Sequence[Collection[str]], progress: Sequence[Progress] = ()
    ) -> list[list[tuple[str, bytes]]]:
        """For each view, the pairs that exist among the wanted ones."""
        with self._shared.lock:
            if progress:
                self._check(progress)
            return [
                [(entity, states[entity]) for entity in entities if entity in states]
                for entities, states in zip(wanted, self._states, strict=True)
            ]

    def write(
        self, writes: Sequence[StateWrite], progress: Sequence[Progress]
    ) -> list[tuple[StateWrite, bytes | None]]:
        """Compare and set, then note the progress; return the writes that were lost."""
        lost: list[tuple[StateWrite, bytes | None]] = []
        with self._shared.lock:
            if writes or progress:
                self._check(progress)
            for write in writes:
                present = self._states[write.view].get(write.entity)
                (expected,) = version_bytes([write.expected])
                if (present or b"")[:8] == expected:
                    self._states[write.view][write.entity] = write.packed
                elif present != write.packed:
                    lost.append((write, present))
            for marks in self._marks if not lost else ():
                for each in progress:
                    if each.through > marks.get(each.source, -1):
                        marks[each.source] = each.through
        return lost

    def marks(self) -> list[dict[int, int]]:
        """For each view, the offset each source is applied through."""
        with self._shared.lock:
            return [dict(marks) for marks in self._marks]

    def reopen(self) -> None:
        """Turn to the generation that is the current one now."""
        with self._shared.lock:
            self._turn_to(self._shared.current, predecessor=self._shared.current)

    def successor(self) -> MemoryStore:
        """The generation after this one, emptied."""
        with self._shared.lock:
            successor = MemoryStore(self._features)
            successor._shared, successor._adopted = self._shared, self._adopted
            successor._turn_to(self._generation + 1, predecessor=self._generation)
            successor.drop()
            return successor

    def activate(self) -> None:
        """Make this generation the current one."""
        with self._shared.lock:
            if self._shared.current != self._generation:
                self._check(())
            self._shared.current = self._expected_current = self._generation
            self._shared.cluster = self._adopted or self._shared.cluster

    def drop(self) -> None:
        """Delete this generation's states and marks."""
        with self._shared.lock:
            if self._generation == self._shared.current:
                raise ValueError(f"generation {self._generation} of the state is the current one")
            for states in self._states:
                states.clear()
            for marks in self._marks:
                marks.clear()

    def close(self) -> None:
        """Nothing to let go of."""
