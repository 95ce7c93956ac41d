"""The thread that delivers: in order, finished when somebody waits, and nothing after a crash."""

import threading

import pytest

from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.observer.events import BatchFinished, StageBegan
from stream_app.records.batch import Batch
from stream_app.worker.deliver_thread import DeliverThread
from tests.unit.builders import begins, item, partition
from tests.unit.observers import listening

P = partition()


class Transactions:
    """A way to publish that finishes batches when it is told to."""

    commits_offsets = True

    def __init__(self) -> None:
        self.open: list[Batch] = []
        self.raises: Exception | None = None

    def finish(self, one: Batch) -> list[Batch]:
        """Put it off."""
        self.open.append(one)
        return []

    def flush(self) -> list[Batch]:
        """Finish what was put off."""
        if self.raises is not None:
            raise self.raises
        done, self.open = self.open, []
        return done

    def abandon(self) -> list[Batch]:
        """Return what was put off."""
        done, self.open = self.open, []
        return done


class Context:
    """A deliver thread over transactions, and what it told."""

    def __init__(self) -> None:
        self.publish = Transactions()
        self.tracker = OffsetTracker()
        self.tracker.begin(begins(P))
        observer, self.told = listening(StageBegan, BatchFinished)
        self.crashes: list[BaseException] = []
        self.crashed = threading.Event()
        self.was_settled = False
        """Whether no batch was under way any more when a crash was told."""
        self.thread = DeliverThread(
            self.publish,  # type: ignore[arg-type]
            self.tracker,
            observer,
            on_crash=self._crash,
        )

    def _crash(self, error: BaseException) -> None:
        self.was_settled = self.tracker.settle(None, 0.0)
        self.crashes.append(error)
        self.crashed.set()

    @property
    def finished(self) -> list[int]:
        """Numbers of the batches of which it was told that they are finished."""
        return [event.batch.number for event in self.told if isinstance(event, BatchFinished)]

    def admitted(self, number: int) -> Batch:
        """A batch of one record that has begun its way."""
        items, ends = self.tracker.admit([item(P, number)])
        return Batch(number, items, ends=ends)


@pytest.fixture
def context() -> Context:
    """One of its own."""
    return Context()


def test_what_was_put_off_is_finished_when_somebody_waits_for_it(context: Context) -> None:
    """Behind the batches before it; a rebalance need not wait until the interval is over."""
    for number in (1, 2):
        context.thread.submit(context.thread.finish, context.admitted(number))
    assert context.thread.settle([P], 10.0)
    assert context.finished == [1, 2]
    assert context.tracker.next_offset(P) == 3


def test_closing_finishes_what_was_put_off(context: Context) -> None:
    """What is on its way goes on, and nothing is left behind in a transaction."""
    context.thread.submit(context.thread.finish, context.admitted(1))
    context.thread.close()
    assert context.tracker.settle(None, 10.0)
    assert context.finished == [1]


def test_a_batch_that_comes_while_it_is_closed_is_refused(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the last flush it would be put off for ever, and a stop would wait for it in vain."""
    flush_soon, refused = context.thread.flush_soon, []

    def flush_and_be_too_slow() -> None:
        flush_soon()
        batch = context.admitted(1)
        try:
            context.thread.submit(context.thread.finish, batch)
        except RuntimeError:
            refused.append(batch)
            context.tracker.abandoned(batch)

    monkeypatch.setattr(context.thread, "flush_soon", flush_and_be_too_slow)
    context.thread.close()
    assert context.tracker.settle(None, 10.0)
    assert [batch.number for batch in refused] == [1]


def test_to_wait_when_it_is_closed_does_no_harm(context: Context) -> None:
    """A worker that stops waits for its work after the loop has ended."""
    context.thread.close()
    assert context.thread.settle(None, 10.0)


def test_after_a_crash_nothing_more_is_delivered(context: Context) -> None:
    """Batches behind one that failed must not be committed; all are given back, and one crash told."""

    def fail(_: Batch) -> None:
        raise ValueError("a bug")

    context.thread.submit(context.thread.finish, context.admitted(1))
    context.thread.submit(fail, context.admitted(2))
    context.thread.submit(context.thread.finish, context.admitted(3))
    assert context.thread.settle(None, 10.0)
    assert [str(error) for error in context.crashes] == ["a bug"]
    assert context.finished == []
    assert context.tracker.next_offset(P) == 0


def test_a_crash_is_told_before_its_batches_are_given_back(context: Context) -> None:
    """Whoever waits until nothing is under way would take it for finished, and commit."""

    def fail(_: Batch) -> None:
        raise ValueError("a bug")

    context.thread.submit(fail, context.admitted(1))
    assert context.thread.settle(None, 10.0)
    assert len(context.crashes) == 1
    assert not context.was_settled


def test_a_flush_that_fails_is_a_crash(context: Context) -> None:
    """Nobody waits for what it returns, so it would go unseen."""
    context.publish.raises = ValueError("no transaction")
    context.thread.submit(context.thread.finish, context.admitted(1))
    context.thread.flush_soon()
    assert context.crashed.wait(10.0)
    assert [str(error) for error in context.crashes] == ["no transaction"]
    assert context.tracker.settle(None, 10.0)
    assert context.finished == []


def test_the_watchdog_sees_the_end_of_a_batch_as_work(context: Context) -> None:
    """A commit may hang as any other step may."""
    context.thread.submit(context.thread.finish, context.admitted(1)).result(10.0)
    (began,) = context.told
    assert isinstance(began, StageBegan)
    assert (began.stage, [record.offset for record in began.records]) == ("finish", [1])
