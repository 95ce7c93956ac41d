"""An orderly stop finishes what is under way and commits it, so that nothing is done twice."""

import signal

import pytest

from tests.integration.bed import Bed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_in_a_backlog_commits_all_that_was_published(
    meters: Bed, number: signal.Signals
) -> None:
    """The exit status is 0, and the next worker goes on where this one ended: no doubles."""
    meters.cluster.produce(meters.meters(9_000))
    with meters.worker(batch_max_records=30, poll_max_records=200) as worker:
        worker.until(
            "there are predictions",
            lambda: meters.cluster.count(meters.usecase.predictions_topic) >= 300,
        )
        assert worker.stop(number) == 0, worker.log
        assert not meters.drained(), "the backlog is too small for this test"
        published = meters.cluster.count(meters.usecase.predictions_topic)
        committed = meters.cluster.committed(meters.usecase.name, *meters.topics)
        below = sum(
            out.offset < committed[out.topic, out.partition]
            for out in meters.cluster.read(meters.topics[1])
        )
        assert published == below
        worker.start()
        worker.until("the backlog is drained", meters.drained)
        assert worker.stop(number) == 0, worker.log
        assert "ERROR" not in worker.log
        assert "Traceback" not in worker.log
    meters.check_nothing_lost(once=True)
    meters.check_each_counted_once()
