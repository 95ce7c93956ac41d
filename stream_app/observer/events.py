"""What an observer is told, as values that do not change.

Each is told once by whoever knows it, on the thread on which it happens, and for a batch rather than
for a record. They are not the events of a use case, which records hold
(`stream_app.features.events.Event`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from stream_app.records.batch import Batch
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.record import Record

__all__ = [
    "AlignmentGaveUp",
    "BatchFinished",
    "ChunkWorkedOff",
    "ClockCorrected",
    "CommitAnswered",
    "CommitFailed",
    "FirstSkipped",
    "MembershipChanged",
    "OutageBegan",
    "OutageEnded",
    "PartitionsRebuilding",
    "Progress",
    "Rebalanced",
    "RecordsGone",
    "RecordsRebuilt",
    "RecordsSkipped",
    "StageBegan",
    "StageEnded",
    "StateConflicts",
    "StoreAsked",
    "UnbelievedReplays",
    "UnknownFields",
    "WaitingBegan",
    "WaitingEnded",
    "WorkEvent",
]


class WorkEvent:
    """Something that happened while a worker worked."""


# The path of a record.


@dataclass(frozen=True)
class StageBegan(WorkEvent):
    """The telling thread begins a stage; it may be within another one."""

    stage: str
    records: Iterable[Record]
    """May be iterated as often as needed, until the stage has ended."""


@dataclass(frozen=True)
class StageEnded(WorkEvent):
    """The stage that the telling thread began last has ended, well or not."""

    stage: str
    records: Iterable[Record]
    seconds: float


@dataclass(frozen=True)
class BatchFinished(WorkEvent):
    """All that comes of a batch is acknowledged, and its states are written."""

    batch: Batch

    @cached_property
    def served(self) -> list[Item]:
        """Those for which a prediction went out."""
        return [i for i in self.batch.items if i.served is not None and i.failure is None]

    @cached_property
    def skipped(self) -> list[Item]:
        """Those that are none of the use case's."""
        return [i for i in self.batch.items if i.event is None and i.failure is None]

    @cached_property
    def failed(self) -> list[Item]:
        """Those for which a dead letter went out."""
        return [item for item in self.batch.items if item.failure is not None]


@dataclass(frozen=True)
class ChunkWorkedOff(WorkEvent):
    """All that one chunk released is on its way to be delivered: the work loop went round."""

    held_records: int
    """Records that wait for their turn now."""
    held_bytes: int


@dataclass(frozen=True)
class Progress(WorkEvent):
    """The telling thread is not stuck: it got on with work that consists of many pieces."""

    of: Literal["batches", "rebuilding"]


@dataclass(frozen=True)
class UnknownFields(WorkEvent):
    """Events of a topic had fields that its contract does not know."""

    topic: str
    fields: int


@dataclass(frozen=True)
class FirstSkipped(WorkEvent):
    """The first record of a topic of which its decoder says that it is none of the use case's."""

    partition: Partition
    offset: int


@dataclass(frozen=True)
class UnbelievedReplays(WorkEvent):
    """Records call themselves replays without a token that proves it: each is a record of its own."""

    records: int


@dataclass(frozen=True)
class ClockCorrected(WorkEvent):
    """Records whose timestamps cannot be were dated now."""

    records: int


@dataclass(frozen=True)
class AlignmentGaveUp(WorkEvent):
    """A partition that delivers nothing is not waited for any longer."""

    partition: Partition


# Services.


@dataclass(frozen=True)
class WaitingBegan(WorkEvent):
    """The telling thread waits for a service, or does so still and for another reason."""

    service: str
    why: str


@dataclass(frozen=True)
class WaitingEnded(WorkEvent):
    """The telling thread waits for a service no more."""

    service: str
    is_given_up: bool = False
    """Whether the service is not there again."""


@dataclass(frozen=True)
class OutageBegan(WorkEvent):
    """The first thread waits for a service, or the reason is another one."""

    service: str
    why: str


@dataclass(frozen=True)
class OutageEnded(WorkEvent):
    """No thread waits for a service any more."""

    service: str


# The consumer group.


@dataclass(frozen=True)
class Rebalanced(WorkEvent):
    """Partitions came or went."""

    kind: Literal["assigned", "revoked", "lost"]
    partitions: int


@dataclass(frozen=True)
class MembershipChanged(WorkEvent):
    """Whether the worker takes records as a member of its group, and if not, why."""

    is_ready: bool
    why: str


@dataclass(frozen=True)
class CommitAnswered(WorkEvent):
    """The brokers answered a commit of offsets."""

    seconds: float


@dataclass(frozen=True)
class CommitFailed(WorkEvent):
    """Offsets were not committed; they are tried again, or the worker ends."""

    why: str


@dataclass(frozen=True)
class RecordsGone(WorkEvent):
    """Records were deleted before they were read."""

    partition: Partition
    records: int


@dataclass(frozen=True)
class RecordsSkipped(WorkEvent):
    """A new group begins behind records."""

    partition: Partition
    records: int


# State.


@dataclass(frozen=True)
class StoreAsked(WorkEvent):
    """The state's store answered, waits for it included."""

    operation: Literal["read", "write"]
    seconds: float


@dataclass(frozen=True)
class StateConflicts(WorkEvent):
    """Another worker had changed states that were to be written."""

    states: int


@dataclass(frozen=True)
class PartitionsRebuilding(WorkEvent):
    """Of so many partitions the state is being rebuilt now."""

    partitions: int


@dataclass(frozen=True)
class RecordsRebuilt(WorkEvent):
    """Records were read again and applied to the state."""

    records: int
