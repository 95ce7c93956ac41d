"""Workers come and go while records flow: nothing is lost, and they share the work."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from statistics import median

import pytest

from tests.integration.testbed import Testbed
from tests.integration.worker import Worker, by_source


@contextmanager
def flowing(testbed: Testbed, *, now: bool = False) -> Iterator[None]:
    """Produce a few hundred records a second for as long as the block takes.

    `now`: with the time of producing as timestamp, so that it tells how long a record waited.
    """
    stop = threading.Event()
    failures: list[BaseException] = []

    def flow() -> None:
        seed = 0
        try:
            while not stop.wait(0.1):
                seed += 1
                records = testbed.meters(60, seed=seed)
                if now:
                    records = [replace(record, timestamp=None) for record in records]
                testbed.cluster.produce(records)
        except BaseException as error:  # noqa: BLE001 - raised in the test below
            failures.append(error)

    thread = threading.Thread(target=flow)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not failures, failures


def done(worker: Worker) -> float:
    """Records that a worker finished."""
    return worker.metric("stream_app_records_total")


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_a_worker_joins_and_leaves_while_records_flow(meters: Testbed, protocol: str) -> None:
    """Both work meanwhile; each request is answered, and each event counted once in the state."""
    with (
        meters.worker(group_protocol=protocol) as first,
        meters.worker(group_protocol=protocol) as second,
    ):
        with flowing(meters):
            first.until("the first works", lambda: done(first) > 100)
            second.until("the second works", lambda: done(second) > 100)
            before = done(first)
            first.until("the first works beside it", lambda: done(first) > before + 100)
            assert second.stop() == 0, second.log
            held = "stream_app_assigned_partitions"
            first.until("the first holds all partitions", lambda: first.metric(held) == 5)
            before = done(first)
            first.until("the first works alone", lambda: done(first) > before + 100)
        first.until("all is done", meters.drained)
    meters.check_nothing_lost()
    meters.check_each_counted_once(bits=False)


def test_a_worker_of_another_strategy_is_refused_in_a_sentence(tickets: Testbed) -> None:
    """The group goes on without it; with KIP-848 it is let in."""
    with tickets.worker(assignment_strategy="sticky") as first:
        first.ready()
        with tickets.worker(assignment_strategy="range", refusal_seconds=1) as second:
            assert second.wait() == 1, second.log
            assert "nconsistent group protocol" in second.log
            assert "Traceback" not in second.log
        tickets.cluster.produce(tickets.tickets(100))
        first.until("it goes on", tickets.drained)
        held = "stream_app_assigned_partitions"
        with tickets.worker(group_protocol="consumer") as third:
            for worker in (first, third):
                worker.until("it has a share", lambda w=worker: w.metric(held) > 0)
            tickets.cluster.produce(tickets.tickets(100))
            third.until("both go on", tickets.drained)
    assert len(by_source(tickets.predictions())) == 200


@pytest.mark.parametrize(
    ("protocol", "strategy", "static"),
    [
        ("classic", "range", False),
        ("classic", "range", True),
        ("classic", "sticky", False),
        ("consumer", "range", False),
    ],
)
def test_a_rolling_restart_of_three_workers_loses_nothing(
    meters: Testbed, protocol: str, strategy: str, static: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """One after the other, while records flow; the longest pause is measured and printed."""
    workers = [
        meters.worker(
            group_protocol=protocol,
            assignment_strategy=strategy,
            session_timeout_seconds=10,
            **({"group_instance_id": f"worker-{number}"} if static else {}),
        )
        for number in range(3)
    ]
    with ExitStack() as stack:
        for worker in workers:
            stack.enter_context(worker)
        with flowing(meters, now=True):
            for worker in workers:
                worker.until("it works", lambda w=worker: done(w) > 50)
            for worker in workers:
                assert worker.stop() == 0, worker.log
                worker.start()
                worker.until("it works again", lambda w=worker: done(w) > 50)
        workers[0].until("all is done", meters.drained)
    predictions = meters.check_nothing_lost()
    meters.check_each_counted_once(bits=False)
    produced = {
        (out.topic, out.partition, out.offset): out.timestamp
        for out in meters.cluster.read(*meters.topics)
    }
    waits = [out.timestamp - produced[out.source] for out in predictions]
    with capsys.disabled():
        kind = f"{protocol}, {strategy}{', static members' if static else ''}"
        print(
            f"\nrolling restart ({kind}): {len(predictions)} predictions, "
            f"longest wait {max(waits):.1f} s, median {median(waits):.2f} s"
        )
    assert max(waits) < 60.0
