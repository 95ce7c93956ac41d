"""Stage enrich: read the state of a batch, then read features and apply updates in its order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stream_app.errors import StreamAppError
from stream_app.features.engine.careful import advance_carefully
from stream_app.features.engine.engine import FeatureEngine
from stream_app.features.usecase import TimeBounds
from stream_app.predictor.lateness import believed_of_all, out_of_range
from stream_app.records.batch import Batch
from stream_app.records.failure import Failure
from stream_app.records.item import Item
from stream_app.state.stage import StateStage
from stream_app.text.causes import unless_told_to_end
from stream_app.text.exception_texts import UNTOLD, ExceptionTexts

__all__ = ["REBUILDING", "EnrichStage", "HalfAppliedError"]

#: Why a fallback serves while the state is being rebuilt.
REBUILDING = "state-rebuilding"

_CAREFUL_BATCHES: Final = 64
"""After a record has failed half way, this many batches are enriched record by record. Such records
seldom come alone, and outside this mode each one costs a wait for all batches under way."""


class HalfAppliedError(StreamAppError):
    """A record failed while updates were applied: states in memory may hold half of them.

    They have to be forgotten, once no other batch is under way that updates them. The same records
    can then be enriched again: it will be done record by record, and the bad one gets its failure.
    """


class EnrichStage:
    """Gives each trigger its row of features and keeps the batch's updates for the state stage."""

    def __init__(
        self,
        engine: FeatureEngine,
        state: StateStage,
        times: TimeBounds,
        *,
        texts: ExceptionTexts = UNTOLD,
    ) -> None:
        """`texts`: whether a failure tells the text of the exception."""
        self._engine = engine
        self._texts = texts
        self._state = state
        self._times = times
        self._careful = 0
        """Batches still to be taken in record by record."""

    def __call__(self, batch: Batch) -> None:
        """Set `row` of each trigger and `batch.writes`; marks records whose features fail.

        Records of partitions in `batch.rebuilding` neither read the state nor update it.

        Raises `StateLostError` and `HalfAppliedError`: the batch may be enriched again.
        """
        batch.applied = {p: end for p, end in batch.ends.items() if p not in batch.rebuilding}
        batch.expected = self._state.expected(batch.applied)
        batch.updating = batch.items
        items = [i for i in batch.items if i.failure is None and i.event is not None]
        # Plain tuples: a named one takes three times as long to unpack.
        fencing = {partition: tuple(self._state.fencing[partition]) for partition in batch.ends}
        for item in items:
            item.source, ahead_until = fencing[item.record.partition]
            item.redelivered = item.offset < ahead_until
            item.degraded = None  # it may have been enriched before
        if batch.rebuilding:
            items = self._without_state(batch, items)
        wanted = self._gather(items)
        items = [item for item in items if item.failure is None]
        tables = self._state.read(wanted)
        if self._careful:
            self._careful -= 1
            advance_carefully(self._engine, items, tables, batch.number, self._state.check_fits)
            self._note_errors(items)
            batch.writes = self._state.stage(wanted, batch.number)
            return
        try:
            self._engine.advance(items, tables, batch.number)
            if self._engine.features.derived:
                self._note_errors(items)
            batch.writes = self._state.stage(wanted, batch.number)
        except (StreamAppError, MemoryError):
            raise
        except BaseException as error:
            unless_told_to_end(error)
            self._careful = _CAREFUL_BATCHES
            for item in items:
                item.ahead = False
            raise HalfAppliedError("states in memory are half updated") from error

    def alone(self, batch: Batch) -> None:
        """Enrich where no other batch is under way, so that what is in memory may be forgotten.

        Raises `StateLostError`.
        """
        try:
            self(batch)
        except HalfAppliedError:
            self._state.forget_all()
            self(batch)

    def _without_state(self, batch: Batch, items: Sequence[Item]) -> list[Item]:
        """Give records of partitions being rebuilt a row without state; return the others.

        A fallback serves all records of the batch: the state that the others read lacks the updates
        of these.
        """
        frozen = [item for item in items if item.record.partition not in batch.applied]
        self._gather(frozen)
        frozen = [item for item in frozen if item.failure is None]
        for item in frozen:
            advance_carefully(
                self._engine, [item], self._engine.tables(), 0, self._state.check_fits
            )
        self._note_errors(frozen)
        for item in items:
            item.degraded = REBUILDING
        return [item for item in items if item.record.partition in batch.applied]

    def _gather(self, items: Sequence[Item]) -> list[set[str]]:
        wanted = self._engine.gather(items)
        self._note_errors(items)
        low, high = believed_of_all(self._times, [item.record for item in items])
        for item in items:
            if item.failure is not None:
                continue
            try:
                for update in item.updates:
                    if update is not None and not low <= update[0] <= high:
                        item.failure = self._doubt(item)
                        break
            except (TypeError, IndexError, KeyError):
                message = "the time of an update is no number of seconds"
                item.failure = Failure("enrich", "invalid-update", message, disposition="bug")
            if item.applied_before:
                item.updates = (None,) * len(item.updates)
        return wanted

    def _doubt(self, item: Item) -> Failure | None:
        """Why a time that updates a state cannot be believed, or None if all can.

        One believed time of the year 2099 would erase a decayed state.
        """
        low, high = self._times.range_at(item.record.known_at)
        for number, update in enumerate(item.updates):
            if update is not None and not low <= update[0] <= high:
                where = self._engine.plan(type(item.event)).update_of(number)
                return out_of_range("enrich", where, update[0], item.record, self._times)
        return None

    def _note_errors(self, items: Sequence[Item]) -> None:
        for item in items:
            error = item.error
            if error is not None and item.failure is None:
                told = str(error)
                if not error.has_sentence:
                    told = self._texts.after(told, error.__cause__)
                item.failure = Failure("enrich", error.reason, told, disposition="bug")
                # The error's traceback refers to the whole batch, in a reference cycle that the garbage
                # collector would find late.
                item.error = None
