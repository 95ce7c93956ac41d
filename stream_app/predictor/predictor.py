"""The predictor: from records to rows of features, answers and failures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Protocol

from stream_app.predictor.decode import Decode
from stream_app.predictor.enrich import EnrichStage
from stream_app.predictor.score import ScoreStage
from stream_app.records.batch import Batch
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.record import Record
from stream_app.state.stage import StateStage

__all__ = ["Around", "Predictor", "unwatched"]


class Around(Protocol):
    """What is done around a stage: it is timed, watched or told to somebody."""

    def __call__(self, stage: str, records: Iterable[Record]) -> AbstractContextManager[None]:
        """The context in which a stage works on records."""


def unwatched(stage: str, records: Iterable[Record]) -> AbstractContextManager[None]:  # noqa: ARG001
    """Nothing is done around a stage."""
    return nullcontext()


class Predictor:
    """Decode, enrich and score, whoever asks: worker, trial, benchmark, or a tool.

    What is read of the state and kept of it is the business of the `state` that it is given: over
    the application's store or over one in memory. Nothing is written to a store here: who wants that
    writes each batch by `state.write`.
    """

    def __init__(
        self,
        decode: Decode,
        enrich: EnrichStage,
        score: ScoreStage,
        state: StateStage,
        *,
        around: Around = unwatched,
    ) -> None:
        self._decode = decode
        self._enrich = enrich
        self._score = score
        self.state = state
        self._around = around
        self._numbers = count(1)

    def __call__(self, records: Sequence[Record]) -> Batch:
        """Take records from their bytes to their answers, in the order given.

        The batch has an item for each record: with a failure, or with the row of its features and
        the answer served where it asks for a prediction. For callers that have one batch under way
        at a time: states in memory may be forgotten. Raises `StateLostError`.
        """
        batch = self.batch(self.decode(records), _ends(records))
        with self._around("enrich", records):
            self._enrich.alone(batch)
        with self._around("score", records):
            self._score(batch)
        return batch

    def apply(self, records: Sequence[Record], ends: dict[Partition, int]) -> Batch:
        """Take records from their bytes to the updates of the state; nothing is scored.

        For callers that have one batch under way at a time. Raises `StateLostError`.
        """
        batch = self.batch(self._decode(records), ends)
        self._enrich.alone(batch)
        return batch

    def decode(self, records: Sequence[Record]) -> list[Item]:
        """An item for each record, in the same order: with an event, or with a failure."""
        with self._around("decode", records):
            return self._decode(records)

    def batch(self, items: Sequence[Item], ends: dict[Partition, int]) -> Batch:
        """A batch of decoded items; `ends`: the offset of each partition's last record in it."""
        return Batch(next(self._numbers), items, ends=ends)

    def answer(self, batch: Batch) -> None:
        """Enrich and score a batch while others may be under way.

        Raises `StateLostError` and `HalfAppliedError`: the same items can then be answered again, in
        a new batch.
        """
        with self._around("enrich", _records(batch)):
            self._enrich(batch)
        with self._around("score", _records(batch)):
            self._score(batch)


def _records(batch: Batch) -> Iterator[Record]:
    return (item.record for item in batch.items)


def _ends(records: Iterable[Record]) -> dict[Partition, int]:
    return {record.partition: record.offset for record in records}
