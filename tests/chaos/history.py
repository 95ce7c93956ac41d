"""What the brokers no longer have: records of topics that were deleted, and what was cut off.

A place is a topic, a partition and an offset. A topic that was deleted and made anew has its places
twice, so those of the deleted one carry its id: `readings@Xk3...`.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tests.integration.testbed import Place
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
    cut_outputs: list[Out] = field(default_factory=list)
    """Records of the topics out that the brokers had acknowledged and forgot."""
    truncated: list[Out] = field(default_factory=list)
    """The same of the topics of events: others stand at their offsets now."""
    outputs_from: Mapping[tuple[str, int], int] = field(default_factory=dict)
    """Where in the topics out the answers begin that count: at the start, unless everything was
    done again under another name."""

    @property
    def is_plain(self) -> bool:
        """Whether the topics hold all there was, so that an audit can prove everything."""
        return not (self.retired or self.cut_outputs or self.truncated)

    def counts(self, output: Out) -> bool:
        """Whether an answer counts: not one from before, nor one of a record that was cut off."""
        if output.offset < self.outputs_from.get((output.topic, output.partition), 0):
            return False
        return not any(_is_of(output, record) for record in self._cut_at(output))

    def _cut_at(self, output: Out) -> list[Out]:
        if not self.truncated:
            return []
        named = {str(value, errors="replace") for _, value in output.headers if value is not None}
        return [r for r in self.truncated if {r.topic, str(r.partition), str(r.offset)} <= named]

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


def _is_of(output: Out, record: Out) -> bool:
    """Whether an answer is of this record: a dead letter of its bytes, or of the event it holds."""
    if output.value == record.value:
        return True
    try:
        said, held = json.loads(output.value or b""), json.loads(record.value or b"")
        return bool(said["event_id"] == held["event_id"] and output.key == record.key)
    except (ValueError, TypeError, KeyError, RecursionError):  # no event: nested ten thousand deep
        return False
