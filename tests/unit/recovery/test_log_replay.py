"""Re-reading a log into the state: from anywhere, up to a target, and no further once it has ended.

The consumer here hands out a log by hand; with a real one it is tested in
tests/integration/test_rebuild.py.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaError

from stream_app.alignment.record_clock import RecordClock
from stream_app.errors import FatalError
from stream_app.features.stores import StateLostError
from stream_app.features.usecase import Prediction
from stream_app.kafka.log_reader import LogReader
from stream_app.observer.events import RecordsRebuilt, StageBegan, StageEnded
from stream_app.observer.observer import Observer
from stream_app.predictor.predictor import Predictor
from stream_app.predictor.score import ScoreStage
from stream_app.records.item import Item
from stream_app.records.record import Record
from stream_app.recovery.log_replay import LogReplay, _Goal, _step_records
from tests.unit.builders import partition, use_case
from tests.unit.observers import listening
from tests.unit.state.test_stage import Worker, order
from tests.unit.stores import lose_everything

P = partition(0)


class _Message:
    def __init__(self, offset: int, error: KafkaError | None = None) -> None:
        self._offset = offset
        self._error = error

    def topic(self) -> str:
        """Of the one partition."""
        return P.topic

    def partition(self) -> int:
        """The one there is."""
        return P.number

    def error(self) -> KafkaError | None:
        """None, if it is a record."""
        return self._error

    def offset(self) -> int:
        """Where it lies."""
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        """In milliseconds."""
        return 1, 10_000 + self._offset

    def key(self) -> bytes:
        """Any."""
        return b"key"

    def value(self) -> bytes:
        """Any."""
        return b"value"

    def headers(self) -> None:
        """None."""


class _Log:
    """A consumer of a log without end, ten records a poll."""

    def __init__(self) -> None:
        self.at = 0
        self.end: int | None = None
        self.before_poll: Callable[[], None] = lambda: None

    def consume(self, _count: int, _seconds: float) -> list[_Message]:
        """The next ten."""
        self.before_poll()
        if self.end is not None and self.at >= self.end:
            return []
        stop = self.at + 10 if self.end is None else min(self.at + 10, self.end)
        messages = [_Message(offset) for offset in range(self.at, stop)]
        self.at = stop
        if stop == self.end:
            messages.append(_Message(stop, KafkaError(KafkaError._PARTITION_EOF)))
        return messages

    def assign(self, places: Sequence[Any]) -> None:
        """Read on from there."""
        (place,) = places
        self.at = place.offset

    def incremental_unassign(self, places: Sequence[Any]) -> None:
        """The range is read: what comes is not looked at."""

    def close(self) -> None:
        """Nothing to let go of."""


class Context:
    """A rebuilding over a store in memory."""

    def __init__(self) -> None:
        self.worker = Worker()
        self.log = _Log()
        observer, self.told = listening(StageBegan, StageEnded, RecordsRebuilt)
        self.rebuild = LogReplay(
            {"group.id": "group"},
            RecordClock(60.0, Observer()),
            Predictor(
                self._decode,
                self.worker.enrich,
                ScoreStage((), use_case(Prediction)),
                self.worker.state,
                Observer(),
            ),
            observer,
        )
        self.rebuild._open = self._open  # type: ignore[method-assign]
        self.worker.state.register({P: 0})

    def _decode(self, records: Sequence[Record]) -> list[Item]:
        return [order(P, record.offset, 10.0 + record.offset) for record in records]

    def _open(self) -> LogReader:
        self.rebuild._reader = LogReader(self.log)  # type: ignore[arg-type]
        return self.rebuild._reader

    def finish(self) -> None:
        """Step to the target."""
        while self.rebuild.step():
            pass

    @property
    def count(self) -> int:
        """Updates in the one state."""
        tables = self.worker.stored("north")
        return tables[0]["north"].count if tables[0] else 0

    def lose_everything(self) -> None:
        """FLUSHALL."""
        lose_everything(self.worker.store)


@pytest.fixture
def context() -> Context:
    """A rebuilding of its own."""
    return Context()


def test_records_are_applied_up_to_the_target_and_no_further(context: Context) -> None:
    """What comes after it the worker applies itself."""
    context.rebuild.begin(P, 0, 25, source_id=1, applied=-1)
    context.finish()
    assert context.count == 25
    assert context.worker.store.marks()[0][1] == 24
    assert context.rebuild.remaining([P]) == 0


def test_a_step_is_told_as_a_stage_and_by_its_records(context: Context) -> None:
    """The watchdog sees a step that hangs, and a metric how the rebuilding gets on."""
    context.rebuild.begin(P, 0, 10, source_id=1, applied=-1)
    context.rebuild.step()
    began, ended, rebuilt = context.told
    assert isinstance(began, StageBegan)
    assert isinstance(ended, StageEnded)
    assert (began.stage, ended.stage, len(list(began.records))) == ("rebuild", "rebuild", 10)
    assert rebuilt == RecordsRebuilt(10)


def test_a_target_that_moves_is_followed(context: Context) -> None:
    """From where it was: the consumer had read past it."""
    context.rebuild.begin(P, 0, 15, source_id=1, applied=-1)
    context.finish()
    context.rebuild.extend(P, 38)
    context.finish()
    assert context.count == 38


def test_what_the_state_holds_already_is_not_applied_twice(context: Context) -> None:
    """It may begin anywhere at or before the mark."""
    context.rebuild.begin(P, 0, 20, source_id=1, applied=-1)
    context.finish()
    context.rebuild.end([P])
    context.rebuild.begin(P, 5, 30, source_id=1, applied=19)
    context.finish()
    assert context.count == 30


def test_a_step_under_way_writes_nothing_once_its_rebuilding_has_ended(context: Context) -> None:
    """Else the later records it had read would fence off the earlier ones that are missing."""
    context.rebuild.begin(P, 0, 30, source_id=1, applied=-1)
    context.rebuild.step()

    def begin_again() -> None:
        context.log.before_poll = lambda: None
        context.lose_everything()
        context.rebuild.end([P])
        context.rebuild.begin(P, 0, 30, source_id=1, applied=-1)

    context.log.before_poll = begin_again
    context.finish()
    assert context.count == 30


def test_records_that_could_not_be_written_are_read_again(context: Context) -> None:
    """The store lost something in between, and the rebuilding begins anew when that was noticed."""
    context.rebuild.begin(P, 0, 30, source_id=1, applied=-1)
    context.rebuild.step()
    context.lose_everything()
    with pytest.raises(StateLostError):
        context.rebuild.step()
    assert context.count == 0
    context.worker.state.expect(P, -1)  # as if what was lost had come back empty
    context.rebuild.step()
    assert context.log.at == 20


def test_a_log_that_ends_before_what_was_processed_is_not_waited_for_for_ever(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Brokers that lost what they acknowledged; those that fail over may be behind for a while."""
    context.log.end = 15
    context.rebuild.begin(P, 0, 30, source_id=1, applied=-1)
    for _ in range(5):
        assert context.rebuild.step(), "there is more to do, as far as is known"
    assert context.count == 15
    context.log.end = 20  # a broker that was behind
    for _ in range(5):
        context.rebuild.step()
    assert context.count == 20
    monkeypatch.setattr("stream_app.recovery.log_replay._ENDED_SECONDS", 0.0)
    with pytest.raises(FatalError, match="its log ends at offset 20, and records up to offset 29"):
        context.rebuild.step()


def test_a_log_that_goes_on_is_followed(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end was not the end."""
    monkeypatch.setattr("stream_app.recovery.log_replay._ENDED_SECONDS", 0.0)
    context.log.end = 15
    context.rebuild.begin(P, 0, 15, source_id=1, applied=-1)
    context.finish()
    context.log.end = None
    context.rebuild.extend(P, 40)
    context.finish()
    assert context.count == 40


@pytest.mark.parametrize(("found", "asked"), [(0, 4_096), (1, 2_048), (4, 256), (70, 256)])
def test_steps_are_smaller_after_starts_that_got_nowhere(found: int, asked: int) -> None:
    """Memory may be what ran out; but however often it did, the rest does not go record by record."""
    assert _step_records([_Goal(0, 10, found)]) == asked
