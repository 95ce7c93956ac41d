"""What the brokers know of a group: where it stands, where the logs end, and who holds what."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final, NamedTuple

from stream_app.flood.standing import flood_notes
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.queries import Member
from stream_app.records.flood_note import FloodNote
from stream_app.records.places import PartitionId

__all__ = ["Group", "Standing"]

_SEARCH_SECONDS: Final = 60.0
"""How long the list of a group's topics is kept: the offsets of all topics are asked for to make it."""


class Standing(NamedTuple):
    """Where a group stands in a partition."""

    committed: int | None
    """The next offset it would read; None where it has committed nothing."""
    start: int
    """The first offset that the log still holds."""
    end: int
    """Behind the last record that no open transaction hides."""
    member: Member | None
    """Who holds the partition; None where nobody does."""
    flood: FloodNote | None = None
    """Whether the flood breaker has stopped it, or lets it through slowly."""

    @property
    def is_stopped(self) -> bool:
        """Whether the flood breaker has stopped it."""
        return self.flood is not None and self.flood.kind == "stopped"

    @property
    def next_offset(self) -> int:
        """The first offset that is not done: where nothing is committed, the first one there is."""
        return self.start if self.committed is None else max(self.start, self.committed)


class Group:
    """Asks the brokers about one group; nothing is written and nobody joins.

    Raises what `Brokers` raises.
    """

    def __init__(self, brokers: Brokers, name: str, topics: Collection[str] = ()) -> None:
        """`brokers` ask for the offsets of this group. `topics`: those to look at, else all that the
        group has committed offsets of or holds."""
        self.name = name
        self._brokers = brokers
        self._asked = set(topics)
        self._topics: set[str] = set()
        self._searched_at = -float("inf")

    def look(self) -> dict[PartitionId, Standing]:
        """Where the group stands now, in every partition of its topics."""
        members = self._brokers.holders(self.name)
        partitions = self._brokers.all_partitions()
        topics = self._asked or self._found(partitions, {each.topic for each in members})
        asked = [each for each in partitions if each.topic in topics]
        # In this order: what is committed later than the end was read would be a lag below zero.
        committed = self._brokers.committed(asked)
        notes = flood_notes(self._brokers, committed)
        starts = self._brokers.starts(asked)
        ends = self._brokers.ends(asked, decided=True)
        return {
            each: Standing(
                committed[each].offset if each in committed else None,
                starts[each],
                ends[each],
                members.get(each),
                notes.get(each),
            )
            for each in asked
        }

    def _found(self, partitions: Collection[PartitionId], held: Collection[str]) -> set[str]:
        """The topics that the group consumes, or did."""
        now = time.monotonic()
        if now - self._searched_at >= _SEARCH_SECONDS:
            self._topics = {each.topic for each in self._brokers.committed(partitions)}
            self._searched_at = now
        return self._topics.union(held)
