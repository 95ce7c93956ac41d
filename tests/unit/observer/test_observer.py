"""Telling an observer: who listens is told at once, and whoever fails harms nobody."""

import logging
import threading

import pytest

from stream_app.observer.events import (
    BatchFinished,
    ClockCorrected,
    StageBegan,
    StageEnded,
    UnknownFields,
    WorkEvent,
)
from stream_app.observer.observer import Observer, on
from tests.unit.builders import batch, failed, item, partition
from tests.unit.observers import listening


def test_a_listener_is_told_of_its_kind_of_event_alone() -> None:
    """Others are told of other kinds."""
    corrected: list[ClockCorrected] = []
    unknown: list[UnknownFields] = []
    observer = Observer([on(ClockCorrected, corrected.append), on(UnknownFields, unknown.append)])
    observer.tell(ClockCorrected(2))
    observer.tell(UnknownFields("orders", 3))
    assert corrected == [ClockCorrected(2)]
    assert unknown == [UnknownFields("orders", 3)]


def test_listeners_are_called_in_the_order_in_which_they_were_given_before_tell_returns() -> None:
    """On the thread that tells, which the watchdog knows its work by."""
    calls: list[tuple[str, int]] = []

    def listener(name: str) -> None:
        calls.append((name, threading.get_ident()))

    observer = Observer(
        [
            on(ClockCorrected, lambda _: listener("first")),
            on(ClockCorrected, lambda _: listener("second")),
        ]
    )
    thread = threading.Thread(target=observer.tell, args=(ClockCorrected(1),))
    thread.start()
    thread.join()
    assert calls == [("first", thread.ident), ("second", thread.ident)]


def test_telling_when_nobody_listens_does_nothing() -> None:
    """Neither without any listener nor with listeners of other kinds."""
    Observer().tell(ClockCorrected(1))
    observer, told = listening(UnknownFields)
    observer.tell(ClockCorrected(1))
    assert told == []


def test_a_listener_that_raises_is_logged_and_harms_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The one who tells goes on and the other listeners are told; the log has the traceback."""
    told: list[WorkEvent] = []

    def broken(_: ClockCorrected) -> None:
        raise RuntimeError("the disk of the metrics is full")

    observer = Observer([on(ClockCorrected, broken), on(ClockCorrected, told.append)])
    observer.tell(ClockCorrected(1))
    assert told == [ClockCorrected(1)]
    (line,) = caplog.records
    assert line.levelno == logging.ERROR
    assert "a listener failed on ClockCorrected" in line.getMessage()
    assert "the disk of the metrics is full" in caplog.text


def test_a_listener_that_always_raises_does_not_flood_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """There is a line in a while, for it may be told with every batch."""

    def broken(_: ClockCorrected) -> None:
        raise RuntimeError("no")

    observer = Observer([on(ClockCorrected, broken)])
    for _ in range(1_000):
        observer.tell(ClockCorrected(1))
    assert len(caplog.records) == 1


def test_being_told_to_end_is_no_failure_of_a_listener() -> None:
    """A KeyboardInterrupt that happens to come while a listener is at work goes on its way."""

    def interrupted(_: ClockCorrected) -> None:
        raise KeyboardInterrupt

    observer = Observer([on(ClockCorrected, interrupted)])
    with pytest.raises(KeyboardInterrupt):
        observer.tell(ClockCorrected(1))


def test_a_stage_is_told_when_it_begins_and_when_it_ends() -> None:
    """With its name, its records and how long it took."""
    observer, told = listening(StageBegan, StageEnded)
    records = [item(partition(), 7).record]
    with observer.stage("score", records):
        assert told == [StageBegan("score", records)]
    _, ended = told
    assert isinstance(ended, StageEnded)
    assert (ended.stage, ended.records) == ("score", records)
    assert ended.seconds > 0.0


def test_a_stage_that_raises_has_ended_as_well() -> None:
    """The watchdog would hold it against its thread for ever."""
    observer, told = listening(StageEnded)
    with pytest.raises(ValueError, match="no"), observer.stage("score", ()):
        raise ValueError("no")
    assert [event.stage for event in told] == ["score"]


def test_the_records_of_a_batch_can_be_iterated_by_each_listener() -> None:
    """The second one must not find that the first has used them up."""
    records = batch(1, [item(partition(), 7), item(partition(), 8)]).records
    assert [record.offset for record in records] == [7, 8]
    assert [record.offset for record in records] == [7, 8]


def test_a_finished_batch_tells_what_was_served_from_what_failed() -> None:
    """What updated a state alone is neither."""
    served, state_only, dead = item(partition(), 1), item(partition(), 2), failed(partition(), 3)
    served.served = object()  # type: ignore[assignment]
    finished = BatchFinished(batch(1, [served, state_only, dead]))
    assert finished.served == [served]
    assert finished.failed == [dead]
