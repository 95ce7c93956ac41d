"""What the brokers no longer have: records of topics that were deleted, and what was cut off.

A place is a topic, a partition and an offset. A topic that was deleted and made anew has its places
twice, so those of the deleted one carry its id: `readings@Xk3...`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tests.integration.bed import Place
from tests.integration.worker import Out

__all__ = ["History", "Incarnation"]


@dataclass(frozen=True)
class Incarnation:
    """A topic of events as it was when it was deleted."""

    topic: str
    topic_id: str
    cluster_id: str
    records: Sequence[Out]
    committed: Mapping[int, int]
    """By partition, what the group had committed at the latest a moment before."""
    acknowledged: int = 0
    """Records that the brokers had taken for good."""
    doubtful: int = 0
    """Records beside those of which nobody can say whether they were taken."""

    @property
    def label(self) -> str:
        """What its places are called."""
        return f"{self.topic}@{self.topic_id}"

    def relabelled(self) -> list[Out]:
        """Its records, under the label."""
        return [replace(out, topic=self.label) for out in self.records]

    def is_committed(self, place: Place) -> bool:
        """Whether the group had committed a record of it: then its outcome must be there."""
        return place[2] < self.committed.get(place[1], 0)


@dataclass
class History:
    """Of one round."""

    retired: list[Incarnation] = field(default_factory=list)
    outputs: list[Out] = field(default_factory=list)
    """Records of the topics out that were there and that an unclean election cut off."""

    def place_of(self, topic: str, partition: int, offset: int, topic_id: str) -> Place:
        """The place that an answer names, of today's topic unless the id is an earlier one's."""
        for incarnation in self.retired:
            if incarnation.topic_id == topic_id:
                return incarnation.label, partition, offset
        return topic, partition, offset

    def incarnation(self, label: str) -> Incarnation | None:
        """The deleted topic that places are labelled with; None: they are of today's."""
        return next((each for each in self.retired if each.label == label), None)

    def gone(self, unanswered: Collection[Place]) -> set[Place]:
        """Those that went with their topic before anybody had committed them."""
        found = set()
        for place in unanswered:
            incarnation = self.incarnation(place[0])
            if incarnation is not None and not incarnation.is_committed(place):
                found.add(place)
        return found
