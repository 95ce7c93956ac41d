"""What the engine asks of a store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["Source", "StateWrite", "Store", "StoreUnavailableError"]


class StoreUnavailableError(Exception):
    """The store cannot be reached or cannot serve now; the same call may succeed later."""


@dataclass(frozen=True, slots=True)
class Source:
    """A partition of one incarnation of a topic.

    A recreated or mirrored topic has another id, so that its offsets are not taken for those of
    its predecessor.
    """

    cluster_id: str
    topic_id: str
    partition: int

    def __str__(self) -> str:
        """The name it is registered under."""
        return f"{self.cluster_id}/{self.topic_id}/{self.partition}"


@dataclass(frozen=True, slots=True)
class StateWrite:
    """One state to replace: by view position and entity key."""

    view: int
    entity: str
    expected: int
    """Version that was read; 0 where there was no state."""
    packed: bytes


class Store(Protocol):
    """States by view and entity, the registry of sources, and progress marks.

    Every method raises `StoreUnavailableError` when the store is away; calls are idempotent.
    """

    def register(self, sources: Sequence[Source]) -> list[int]:
        """Give each source its small integer, the same for every worker and for ever."""

    def first_version(self) -> int:
        """A version above every version given out before, for states that do not exist yet."""

    def read(self, wanted: Sequence[Collection[str]]) -> list[list[tuple[str, bytes]]]:
        """For each view, the (entity, packed state) pairs that exist among the wanted ones."""

    def write(
        self, writes: Sequence[StateWrite], progress: Mapping[int, int]
    ) -> list[tuple[StateWrite, bytes | None]]:
        """Compare and set; then note for every view the offset each source is applied through.

        Returns the writes that were lost, each with the present value. The progress is noted all
        the same: until the lost ones are written again, the offsets are not committed, and a
        crash in between reads those records again, whose fences are not there yet.
        """

    def marks(self) -> list[dict[int, int]]:
        """For each view, the offset each source is applied through."""

    def close(self) -> None:
        """Let go of connections."""
