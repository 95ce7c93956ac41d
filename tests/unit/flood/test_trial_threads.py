"""What the threads beside the work find out about stopped partitions."""

import threading
from collections.abc import Callable

import pytest

from stream_app.errors import ServiceAwayError
from stream_app.flood.record_trials import NewestTried
from stream_app.flood.resume_orders import ResumeOrder
from stream_app.flood.trial_threads import TrialThreads
from stream_app.flood.verdict import Verdict
from stream_app.records.failure import Failure
from stream_app.records.partition import Partition
from tests.integration.worker import eventually
from tests.unit.builders import partition

REFUSED = Failure("decode", "invalid-json", "no")


class Records:
    """Says of records what a test says."""

    def __init__(self) -> None:
        self.refuses: Failure | None = REFUSED
        self.newest_pass = False
        self.away = False
        self.tried: list[tuple[Partition, int]] = []
        self.closed = threading.Event()

    def head(self, at: Partition, offset: int) -> Failure | None:
        """See `RecordTrying`."""
        self.tried.append((at, offset))
        if self.away:
            raise ServiceAwayError("kafka", "it is away")
        return self.refuses

    def newest(self, at: Partition, offset: int) -> NewestTried:
        """See `RecordTrying`."""
        return NewestTried(self.newest_pass, 50)

    def close(self) -> None:
        """See `RecordTrying`."""
        self.closed.set()


class Orders:
    """Says what a test says an operator said."""

    def __init__(self) -> None:
        self.order: ResumeOrder | None = None
        self.away = False

    def look(self) -> None:
        """See `Orders`."""
        if self.away:
            raise ServiceAwayError("kafka", "it is away")

    def __call__(self, at: Partition, offset: int) -> ResumeOrder | None:
        """See `Orders`."""
        return self.order


class Bench:
    """Threads that are stepped by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.records, self.orders = Records(), Orders()
        self.made = 0
        self.thread = TrialThreads(
            self._make, self.orders, interval_seconds=30.0, monotonic=lambda: self.now
        )
        self.thread._threads.append(threading.Thread())  # they are not to run by themselves

    def _make(self) -> Records:
        self.made += 1
        return self.records

    def after(self, seconds: float) -> list[Verdict]:
        """What was found once so much time has passed."""
        self.now += seconds
        self.thread.hear()
        self.thread.try_due()
        return list(self.thread.verdicts())


def test_a_fresh_stop_is_tried_after_the_interval_and_one_that_was_found_at_once() -> None:
    """The head of the first has just been refused."""
    bench, fresh, found = Bench(), partition(0), partition(1)
    bench.thread.begin(fresh, 7, at_once=False)
    bench.thread.begin(found, 9, at_once=True)
    assert bench.after(0.0) == []
    assert bench.records.tried == [(found, 9)]
    bench.after(29.0)
    assert bench.records.tried == [(found, 9)]
    bench.after(1.0)
    assert sorted(offset for _, offset in bench.records.tried) == [7, 9, 9]
    assert bench.made == 1


def test_the_head_passes_before_the_newest_are_asked() -> None:
    """Where the consumer was mended the whole run is taken, and none of it dead-lettered."""
    bench, at = Bench(), partition()
    bench.thread.begin(at, 7, at_once=True)
    bench.records.refuses, bench.records.newest_pass = None, True
    assert bench.after(0.0) == [Verdict(at, 7, "head", None)]
    assert bench.after(30.0) == []  # it is told once


def test_the_newest_pass() -> None:
    """The bad run ends where the log did."""
    bench, at = Bench(), partition()
    bench.thread.begin(at, 7, at_once=True)
    bench.records.newest_pass = True
    assert bench.after(0.0) == [Verdict(at, 7, "newest", 50)]


def test_an_operator_is_heard_before_the_interval_is_over() -> None:
    """Without a trial."""
    bench, at = Bench(), partition()
    bench.thread.begin(at, 7, at_once=False)
    bench.orders.order = ResumeOrder(
        topic="t", topic_id="id", partition=0, offset=7, until=90, at=0.0
    )
    assert bench.after(1.0) == [Verdict(at, 7, "resumed", 90)]
    assert bench.records.tried == []


@pytest.mark.parametrize("away", ["records", "orders"])
def test_what_is_away_is_asked_again(away: str, caplog: pytest.LogCaptureFixture) -> None:
    """The other of the two is asked all the same, and the log says what is wrong."""
    bench, at = Bench(), partition()
    getattr(bench, away).away = True
    bench.records.newest_pass = True
    bench.thread.begin(at, 7, at_once=True)
    found = bench.after(0.0)
    assert "it is away" in caplog.text
    if away == "orders":
        assert found == [Verdict(at, 7, "newest", 50)]
    else:
        assert found == []
        bench.records.away = False
        assert bench.after(30.0) == [Verdict(at, 7, "newest", 50)]


def test_what_was_forgotten_is_not_told() -> None:
    """It was revoked meanwhile."""
    bench, at = Bench(), partition()
    bench.thread.begin(at, 7, at_once=True)
    bench.thread.forget(at)
    bench.records.refuses = None
    assert bench.after(0.0) == []


def test_a_verdict_on_an_earlier_stop_is_none_on_this_one() -> None:
    """An operator let the partition go on while its record was tried, and it was stopped further on."""
    bench, at = Bench(), partition()
    bench.thread.begin(at, 7, at_once=True)

    def stopped_elsewhere(_at: Partition, _offset: int) -> NewestTried:
        bench.thread.begin(at, 60, at_once=False)
        return NewestTried(True, 50)

    bench.records.newest = stopped_elsewhere  # type: ignore[method-assign]
    assert bench.after(0.0) == []
    bench.records.refuses = None
    assert bench.after(30.0) == [Verdict(at, 60, "head", None)]


def test_an_operator_is_heard_while_a_record_is_tried() -> None:
    """A trial waits for services that are away, and an operator need not."""
    records, orders, at = Records(), Orders(), partition()
    begun, over = threading.Event(), threading.Event()

    def waits(_at: Partition, _offset: int) -> Failure | None:
        begun.set()
        over.wait(20.0)
        return REFUSED

    records.head = waits  # type: ignore[method-assign]
    threads = TrialThreads(lambda: records, orders, interval_seconds=30.0)
    threads.begin(at, 7, at_once=True)
    assert begun.wait(20.0)
    orders.order = ResumeOrder(topic="t", topic_id="id", partition=0, offset=7, until=90, at=0.0)
    assert eventually("it is heard", threads.verdicts, 15.0) == [Verdict(at, 7, "resumed", 90)]
    threads.stop()
    over.set()
    threads.join(5.0)
    assert records.closed.is_set()


def test_the_threads_begin_with_the_first_stop_and_end_when_they_are_told() -> None:
    """They let go of their connections."""
    records = Records()
    records.refuses = None
    thread = TrialThreads(lambda: records, Orders(), interval_seconds=0.01)
    names: Callable[[], set[str]] = lambda: {each.name for each in threading.enumerate()}  # noqa: E731
    assert not {"flood-trials", "flood-orders"} & names()
    at = partition()
    thread.begin(at, 7, at_once=True)
    found: list[Verdict] = []
    deadline = threading.Event()
    for _ in range(500):
        found += thread.verdicts()
        if found or deadline.wait(0.01):
            break
    assert found == [Verdict(at, 7, "head", None)]
    thread.stop()
    thread.join(5.0)
    assert records.closed.is_set()
    thread.begin(at, 7, at_once=True)  # of no effect any more
    assert not {"flood-trials", "flood-orders"} & names()
