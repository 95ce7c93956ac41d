"""Workers come and go while records flow: nothing is lost, and they share the work."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.bed import Bed
from tests.integration.worker import Worker


@contextmanager
def flowing(bed: Bed) -> Iterator[None]:
    """Produce a few hundred records a second for as long as the block takes."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def flow() -> None:
        seed = 0
        try:
            while not stop.wait(0.1):
                seed += 1
                bed.cluster.produce(bed.meters(60, seed=seed))
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
def test_a_worker_joins_and_leaves_while_records_flow(meters: Bed, protocol: str) -> None:
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
