"""What an observer is told, as values that do not change.

Each is told once by whoever knows it, on the thread on which it happens, and for a batch rather than
for a record. They are not the events of a use case, which records hold
(`stream_app.features.events.Event`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from stream_app.records.batch import Batch
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.record import Record

__all__ = [
    "AlignmentGaveUp",
    "BatchAbandoned",
    "BatchBegan",
    "BatchFinished",
    "ChunkWorkedOff",
    "ClockCorrected",
    "CommitAnswered",
    "CommitFailed",
    "FirstSkipped",
    "MembershipChanged",
    "OutageBegan",
    "OutageEnded",
    "PartitionStopped",
    "PartitionWentOn",
    "PartitionsRebuilding",
    "Progress",
    "Rebalanced",
    "RecordsGone",
    "RecordsRebuilt",
    "RecordsSkipped",
    "StageBegan",
    "StageEnded",
    "StateConflicts",
    "StoppedPartitions",
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


# Told by `observer/observer.py`, for who writes `with observer.stage(...)`.
@dataclass(frozen=True)
class StageBegan(WorkEvent):
    """The telling thread begins a stage; it may be within another one."""

    stage: str
    records: Iterable[Record]
    """May be iterated as often as needed, until the stage has ended."""


# Told by `observer/observer.py`.
@dataclass(frozen=True)
class StageEnded(WorkEvent):
    """The stage that the telling thread began last has ended, well or not."""

    stage: str
    records: Iterable[Record]
    seconds: float


# Told by `worker/pipeline.py`.
@dataclass(frozen=True)
class BatchBegan(WorkEvent):
    """Decoded records are a batch now; it is not enriched yet.

    Who traces may set `Item.traceparent` now, before anything is made of the items. Nothing else of a
    batch is for a listener to change.
    """

    batch: Batch


# Told by `worker/pipeline.py`.
@dataclass(frozen=True)
class BatchAbandoned(WorkEvent):
    """Nothing comes of a batch that began; its records are in a later one, or are read again."""

    batch: Batch


# Told by `worker/deliver_thread.py`.
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


# Told by `worker/worker.py`.
@dataclass(frozen=True)
class ChunkWorkedOff(WorkEvent):
    """All that one chunk released is on its way to be delivered: the work loop went round."""

    held_records: int
    """Records that wait for their turn now."""
    held_bytes: int


# Told by `crash_isolation/trial.py`.
@dataclass(frozen=True)
class Progress(WorkEvent):
    """The telling thread is not stuck: it got on with work that consists of many pieces."""

    of: Literal["batches", "rebuilding"]


# Told by `predictor/decode.py`.
@dataclass(frozen=True)
class UnknownFields(WorkEvent):
    """Events of a topic had fields that its contract does not know."""

    topic: str
    fields: int


# Told by `predictor/decode.py`.
@dataclass(frozen=True)
class FirstSkipped(WorkEvent):
    """The first record of a topic of which its decoder says that it is none of the use case's."""

    partition: Partition
    offset: int


# Told by `predictor/decode.py`.
@dataclass(frozen=True)
class UnbelievedReplays(WorkEvent):
    """Records call themselves replays without a token that proves it: each is a record of its own."""

    records: int


# Told by `alignment/record_clock.py`.
@dataclass(frozen=True)
class ClockCorrected(WorkEvent):
    """Records whose timestamps cannot be were dated now."""

    records: int


# Told by `alignment/align.py`.
@dataclass(frozen=True)
class AlignmentGaveUp(WorkEvent):
    """A partition that delivers nothing is not waited for any longer."""

    partition: Partition


# Told by `flood/breaker.py`.
@dataclass(frozen=True)
class PartitionStopped(WorkEvent):
    """Too many of its records were refused: nothing of a partition is taken from an offset on."""

    partition: Partition
    offset: int
    why: str
    """Half a sentence."""
    since: float
    """Seconds since the epoch."""
    is_new: bool
    """False where the worker before had stopped it."""


# Told by `flood/breaker.py`.
@dataclass(frozen=True)
class PartitionWentOn(WorkEvent):
    """A partition that was stopped is taken again."""

    partition: Partition
    offset: int
    how: Literal["head", "newest", "resumed"]
    """head: its first record passes; newest: its newest ones do; resumed: an operator said so."""
    until: int | None
    """The offset up to which it is taken at a limited rate; None: it is as any other."""


# Told by `flood/breaker.py`.
@dataclass(frozen=True)
class StoppedPartitions(WorkEvent):
    """Which partitions are stopped now, of how many that are held."""

    stopped: tuple[PartitionStopped, ...]
    held: int


# Services.


# Told by `delivery/publish.py`, `kafka/bounded_calls.py`, `kafka/consumer/error_events.py`,
# `recovery/recovery.py` and `waiting/retry.py`.
@dataclass(frozen=True)
class WaitingBegan(WorkEvent):
    """The telling thread waits for a service, or does so still and for another reason."""

    service: str
    why: str


# Told by `delivery/publish.py`, `kafka/bounded_calls.py`, `kafka/consumer/error_events.py`,
# `recovery/recovery.py` and `waiting/retry.py`.
@dataclass(frozen=True)
class WaitingEnded(WorkEvent):
    """The telling thread waits for a service no more."""

    service: str
    is_given_up: bool = False
    """Whether the service is not there again."""


# Told by `waiting/outages.py`.
@dataclass(frozen=True)
class OutageBegan(WorkEvent):
    """The first thread waits for a service, or the reason is another one."""

    service: str
    why: str


# Told by `waiting/outages.py`.
@dataclass(frozen=True)
class OutageEnded(WorkEvent):
    """No thread waits for a service any more."""

    service: str


# The consumer group.


# Told by `kafka/consumer/assignment.py`.
@dataclass(frozen=True)
class Rebalanced(WorkEvent):
    """Partitions came or went."""

    kind: Literal["assigned", "revoked", "lost"]
    partitions: int


# Told by `kafka/consumer/membership.py`.
@dataclass(frozen=True)
class MembershipChanged(WorkEvent):
    """Whether the worker takes records as a member of its group, and if not, why."""

    is_ready: bool
    why: str


# Told by `kafka/consumer/offset_commits.py`.
@dataclass(frozen=True)
class CommitAnswered(WorkEvent):
    """The brokers answered a commit of offsets."""

    seconds: float
    committed: Mapping[Partition, int] = field(default_factory=dict)
    """The next offset of each partition for which the commit succeeded."""


# Told by `kafka/consumer/offset_commits.py`.
@dataclass(frozen=True)
class CommitFailed(WorkEvent):
    """Offsets were not committed; they are tried again, or the worker ends."""

    why: str


# Told by `kafka/consumer/start_positions.py`.
@dataclass(frozen=True)
class RecordsGone(WorkEvent):
    """Records were deleted before they were read."""

    partition: Partition
    records: int


# Told by `kafka/consumer/start_positions.py`.
@dataclass(frozen=True)
class RecordsSkipped(WorkEvent):
    """A new group begins behind records."""

    partition: Partition
    records: int


# State.


# Told by `state/stage.py`.
@dataclass(frozen=True)
class StoreAsked(WorkEvent):
    """The state's store answered, waits for it included."""

    operation: Literal["read", "write"]
    seconds: float


# Told by `state/stage.py`.
@dataclass(frozen=True)
class StateConflicts(WorkEvent):
    """Another worker had changed states that were to be written."""

    states: int


# Told by `recovery/rebuilding.py`.
@dataclass(frozen=True)
class PartitionsRebuilding(WorkEvent):
    """Of so many partitions the state is being rebuilt now."""

    partitions: int


# Told by `recovery/log_replay.py`.
@dataclass(frozen=True)
class RecordsRebuilt(WorkEvent):
    """Records were read again and applied to the state."""

    records: int
