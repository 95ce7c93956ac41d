"""What was found of states: how many are what the log says, and which are not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stream_app.text.foreign import bounded

__all__ = ["RecomputeReport", "StateDifference"]

_LISTED = 100
"""States of one kind that are listed; all are counted."""


@dataclass(frozen=True)
class StateDifference:
    """A state that is not what the log says."""

    view: str
    entity: str
    what: str
    """A sentence."""

    def __str__(self) -> str:
        """View, entity and sentence."""
        return f"{self.view} of {self.entity!r}: {self.what}"

    def as_json(self) -> dict[str, str]:
        """The difference as JSON has it."""
        return {"view": self.view, "entity": self.entity, "what": self.what}


@dataclass
class RecomputeReport:
    """The states in the store, compared with those that the log leads to."""

    states: int = 0
    """Compared: every view and entity that the log names."""
    equal: int = 0
    uncommitted_updates: int = 0
    """Updates above the committed offsets that states hold already: they are in flight, and the
    comparison counts them on both sides."""
    pending_updates: int = 0
    """Updates above the committed offsets that states do not hold yet."""
    not_comparable: int = 0
    """States that hold what the log no longer does, which is no difference."""
    incomparable: list[StateDifference] = field(default_factory=list)
    """The first of those."""
    expired: int = 0
    """States that the store may have let go of by their time to live."""
    different: int = 0
    differences: list[StateDifference] = field(default_factory=list)
    """The first of those that differ."""

    def add_different(self, view: str, entity: str, what: str) -> None:
        """Note a state that is not what the log says."""
        self.different += 1
        if len(self.differences) < _LISTED:
            self.differences.append(StateDifference(view, bounded(entity), what))

    def add_incomparable(self, view: str, entity: str, what: str) -> None:
        """Note a state of which the log cannot tell what it must be."""
        self.not_comparable += 1
        if len(self.incomparable) < _LISTED:
            self.incomparable.append(StateDifference(view, bounded(entity), what))

    @property
    def proves_nothing(self) -> bool:
        """Whether there were states, and not one could be compared."""
        return bool(self.states) and not (self.equal or self.different)

    def as_json(self) -> dict[str, Any]:
        """The comparison as JSON has it."""
        return {
            "states": self.states,
            "equal": self.equal,
            "different": self.different,
            "not_comparable": self.not_comparable,
            "expired": self.expired,
            "uncommitted_updates": self.uncommitted_updates,
            "pending_updates": self.pending_updates,
            "differences": [each.as_json() for each in self.differences],
            "incomparable": [each.as_json() for each in self.incomparable],
        }
