"""The predictor: from records to rows of features, answers and failures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count

from stream_app.observer.observer import Observer
from stream_app.predictor.decode import Decode
from stream_app.predictor.enrich import EnrichStage
from stream_app.predictor.score import ScoreStage
from stream_app.records.batch import Batch
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.record import Record
from stream_app.state.stage import StateStage

__all__ = ["Predictor"]


class Predictor:
    """Decode, enrich and score, whoever asks: worker, trial, benchmark, or a tool.

    The `state` that the predictor is given decides what is read and what is kept in memory; it works
    over the application's store or over one in memory. The predictor writes nothing to a store: a
    caller that wants it calls `state.write` with each batch.
    """

    def __init__(
        self,
        decode: Decode,
        enrich: EnrichStage,
        score: ScoreStage,
        state: StateStage,
        observer: Observer,
    ) -> None:
        self._decode = decode
        self._enrich = enrich
        self._score = score
        self.state = state
        self._observer = observer
        self._numbers = count(1)

    def __call__(self, records: Sequence[Record]) -> Batch:
        """Take records from their bytes to their answers, in the order given.

        The batch has an item for each record: with a failure, or with the row of its features and
        the answer served where it asks for a prediction. For callers that have one batch under way
        at a time: states in memory may be forgotten. Raises `StateLostError`.
        """
        batch = self.batch(self.decode(records), _ends(records))
        with self._observer.stage("enrich", records):
            self._enrich.alone(batch)
        with self._observer.stage("score", records):
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
        with self._observer.stage("decode", records):
            return self._decode(records)

    def batch(
        self,
        items: Sequence[Item],
        ends: dict[Partition, int],
        rebuilding: frozenset[Partition] = frozenset(),
    ) -> Batch:
        """A batch of decoded items; `ends`: the offset of each partition's last record in it.

        Records of partitions in `rebuilding` neither read the state nor update it.
        """
        return Batch(next(self._numbers), items, ends=ends, rebuilding=rebuilding)

    def answer(self, batch: Batch) -> None:
        """Enrich and score a batch while others may be under way.

        Raises `StateLostError` and `HalfAppliedError`: the same items can then be answered again, in
        a new batch.
        """
        with self._observer.stage("enrich", batch.records):
            self._enrich(batch)
        with self._observer.stage("score", batch.records):
            self._score(batch)


def _ends(records: Iterable[Record]) -> dict[Partition, int]:
    return {record.partition: record.offset for record in records}
