"""A batch of records, and the records that are published for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from stream_app.features.answer import Outputs
from stream_app.features.stores import StateWrite
from stream_app.records.headers import Headers
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.record import Record

__all__ = ["Batch", "BatchRecords", "Outgoing", "Scored"]


@dataclass(slots=True)
class Outgoing:
    """A record to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    source: Partition | None = None
    """The partition of the record it came of."""
    item: Item | None = None
    """The record it came of."""
    kind: str = "prediction"
    """In words for a person; what is neither a prediction nor a dead letter is dropped where the brokers
    refuse it."""
    fits: bool = False
    """Whether the brokers took it when it came alone."""


class Scored(NamedTuple):
    """What a model gave for records of a batch, as it came from the model, in one call of it."""

    model: str
    version: str
    items: Sequence[Item]
    """The records whose rows it was asked for. Where a model fails for some records it is asked again for
    fewer of them, and those calls count that did not fail."""
    outputs: Outputs
    """By name, each of shape (records, ...): a row for each of `items`, those with NaN included."""


@dataclass(slots=True)
class Batch:
    """Records that are scored, published, written and committed together.

    It is a prefix of each of its partitions, and batches finish in the order of their numbers.
    """

    number: int
    items: Sequence[Item]
    """Those it has to account for: publishing leaves out what came of partitions that were given away."""
    writes: list[StateWrite] = field(default_factory=list)
    updating: Sequence[Item] = ()
    """The items that `writes` was made from, those left out included: where a write is made again, it
    must hold what the others hold, through the same marks."""
    outgoing: list[Outgoing] = field(default_factory=list)
    ends: dict[Partition, int] = field(default_factory=dict)
    """For each partition, the offset of its last record in the batch."""
    rebuilding: frozenset[Partition] = frozenset()
    """Partitions whose state was being rebuilt when the batch began its way."""
    applied: dict[Partition, int] = field(default_factory=dict)
    """The offsets of `ends` for the partitions whose records update the state with this batch: all
    but those whose state is being rebuilt."""
    expected: dict[Partition, int] = field(default_factory=dict)
    """The marks that the store was known to hold when the batch was enriched."""
    scored: list[Scored] = field(default_factory=list)
    """The outputs of the models, for who listens to `BatchFinished`; the champion's come first. Those of a
    model that was asked in vain are here too, and what was served is in `Item.served`."""

    @property
    def records(self) -> BatchRecords:
        """Its records, of which nobody needs a list."""
        return BatchRecords(self)


class BatchRecords:
    """The records of a batch; costs nothing until they are iterated."""

    __slots__ = ("batch",)

    def __init__(self, batch: Batch) -> None:
        self.batch = batch

    def __iter__(self) -> Iterator[Record]:
        return (item.record for item in self.batch.items)
