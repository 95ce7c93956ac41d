"""Work that stands still is noticed, on a clock that a test moves."""

import threading
from collections.abc import Callable, Iterator

import pytest

from stream_app.records.record import Record
from stream_app.worker.watchdog import Watchdog
from tests.unit import builders

DEADLINE = 100.0


class Clock:
    """Seconds; moved by a test, never further than the watchdog looks."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The watchdog's."""
    return Clock()


@pytest.fixture
def said() -> list[str]:
    """What would have been logged before the process ended."""
    return []


@pytest.fixture
def watchdog(clock: Clock, said: list[str]) -> Watchdog:
    """One that ends nothing and looks when told."""
    return Watchdog(DEADLINE, on_wedged=said.append, clock=clock)


@pytest.fixture
def passes(clock: Clock, watchdog: Watchdog) -> Callable[[float], None]:
    """Let time pass second by second, with a look each."""

    def move(seconds: float) -> None:
        for _ in range(round(seconds)):
            clock.now += 1.0
            watchdog.look()

    return move


Passes = Callable[[float], None]


def records() -> Iterator[Record]:
    """Records of two partitions."""
    for number, offset in ((0, 17), (1, 3), (0, 18), (1, 4), (0, 240)):
        yield builders.record(builders.partition(number), offset)


def test_work_past_the_deadline_is_named(
    watchdog: Watchdog, passes: Passes, said: list[str]
) -> None:
    """By its stage, its offsets and the line where its thread is; once the deadline is past."""
    with watchdog.work("score", records()):
        passes(DEADLINE)
        assert said == []
        passes(1)
    (sentence,) = said
    assert "stage score" in sentence
    assert "orders[0] 17-240, orders[1] 3-4" in sentence
    assert " at " in sentence.split(" longer than ")[1]


def test_finished_work_is_not_held_against_anybody(
    watchdog: Watchdog, passes: Passes, said: list[str]
) -> None:
    """An idle worker may be idle for ever."""
    with watchdog.work("score", records()):
        passes(DEADLINE - 1)
    passes(10 * DEADLINE)
    assert said == []


def test_each_piece_of_work_has_its_own_time(
    watchdog: Watchdog, passes: Passes, said: list[str]
) -> None:
    """Many short batches are no long one; nor does a piece within another count twice."""
    for _ in range(5):
        with watchdog.work("enrich", records()):
            passes(DEADLINE - 1)
            with watchdog.work("score", records()):
                passes(DEADLINE - 1)
            passes(DEADLINE - 1)
    assert said == []


def test_waiting_for_a_service_is_no_work(
    watchdog: Watchdog, passes: Passes, said: list[str]
) -> None:
    """However long; afterwards the work has its whole time again, and no more than that."""
    with watchdog.work("state", records()):
        passes(DEADLINE - 1)
        watchdog.waiting("redis", True)
        passes(100 * DEADLINE)
        watchdog.waiting("redis", False)
        passes(DEADLINE)
        assert said == []
        passes(1)
    assert len(said) == 1


def test_one_thread_does_not_wait_for_another(
    watchdog: Watchdog, passes: Passes, said: list[str]
) -> None:
    """A stuck scoring call is noticed while the thread that delivers waits for a broker."""
    begun, done = threading.Event(), threading.Event()

    def deliver() -> None:
        with watchdog.work("publish", records()):
            watchdog.waiting("kafka", True)
            begun.set()
            done.wait()

    delivering = threading.Thread(target=deliver)
    delivering.start()
    begun.wait()
    try:
        with watchdog.work("score", records()):
            passes(DEADLINE + 1)
    finally:
        done.set()
        delivering.join()
    assert [sentence.split()[1] for sentence in said] == ["score"]


def test_progress_within_a_long_piece_of_work_begins_its_time_anew(
    watchdog: Watchdog, passes: Passes, said: list[str]
) -> None:
    """Work that consists of many pieces says after each that it got on."""
    with watchdog.work("decode", records()):
        for _ in range(5):
            passes(DEADLINE - 1)
            watchdog.progress()
    assert said == []


def test_a_process_that_was_frozen_is_not_wedged(
    watchdog: Watchdog, clock: Clock, passes: Passes, said: list[str]
) -> None:
    """Time in which the watchdog did not run either is nobody's work."""
    with watchdog.work("score", records()):
        passes(10)
        clock.now += 10 * DEADLINE  # SIGSTOP, SIGCONT
        watchdog.look()
        passes(DEADLINE - 10)
        assert said == []
        passes(1)
    assert len(said) == 1


def test_what_is_in_hand_at_the_end_can_be_told(watchdog: Watchdog, clock: Clock) -> None:
    """A thread that is stuck keeps the process from ending."""
    assert watchdog.unfinished(0.0) is None
    with watchdog.work("score", records()):
        told = watchdog.unfinished(-1.0)
    assert told == "score of orders[0] 17-240, orders[1] 3-4"
