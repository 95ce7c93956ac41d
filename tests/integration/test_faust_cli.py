"""Faust's own command line starts the same worker."""

import signal
from pathlib import Path

import pytest

from tests.integration.testbed import Testbed
from tests.integration.worker import Worker


@pytest.mark.parametrize("number", [signal.SIGTERM])
def test_faust_worker_predicts_and_stops_in_good_order(
    meters: Testbed, tmp_path: Path, number: signal.Signals
) -> None:
    """`faust -A stream_app.worker.app worker` takes the use case from STREAM_APP_USECASE."""
    meters.cluster.produce(meters.meters(600))
    command = ("-m", "faust", "-A", "stream_app.worker.app", "worker", "--loglevel", "info")
    worker = Worker(meters.spec, meters.settings, command=command)
    with worker.environment(TEST_TOPIC_SUFFIX=meters.suffix):
        worker.ready().until("the backlog is drained", meters.drained)
        assert worker.metric("stream_app_records_total") == 600
        assert worker.stop(number) == 0, worker.log
    meters.check_nothing_lost(once=True)
    meters.check_each_counted_once()
