"""Work that hangs for ever: the process says where and ends, and others go on."""

from pathlib import Path

import pytest

from tests.integration.conftest import NO_REDIS
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Sent, by_source, eventually
from tests.usecases import hostile


def say(testbed: Testbed, *texts: str, partition: int = 0) -> list[int]:
    """Send messages to a partition; returns their offsets."""
    (topic,) = testbed.topics
    sent = [Sent(topic, hostile.ticket(words), partition=partition) for words in texts]
    return [offset for _, offset in testbed.cluster.produce(sent)]


@pytest.mark.parametrize("where", hostile.WHERE)
def test_a_wedged_worker_names_the_offsets_and_ends(
    cluster: Cluster, tmp_path: Path, where: str
) -> None:
    """Polling goes on all the while; the partition goes to the next worker, which hangs in turn."""
    testbed = Testbed(hostile, tmp_path, cluster, NO_REDIS)
    stage = {"feature": "enrich"}.get(where, where)
    with (
        testbed.worker(work_deadline_seconds=3.0) as first,
        testbed.worker(work_deadline_seconds=3.0) as second,
    ):
        first.ready()
        second.ready()
        eventually(
            "each has a partition",
            lambda: all(w.metric("stream_app_assigned_partitions") == 1 for w in (first, second)),
        )
        fine = say(testbed, *["thanks"] * 20)
        eventually("the first ones are done", testbed.drained)
        offset, *_ = say(testbed, f"{where} hang", "thanks")
        workers = [first, second]
        for survivors in (1, 0):
            eventually(
                f"{survivors} workers are left",
                lambda survivors=survivors: sum(w.is_running for w in workers) == survivors,
            )
        for worker in workers:
            (line,) = [line for line in worker.log.splitlines() if "CRITICAL" in line]
            assert f"stage {stage}" in line
            assert f"{testbed.topics[0]}[0] {offset}-" in line
            assert "hostile.py" in line
            assert worker.stop(seconds=0.0) == 1
    assert cluster.committed(testbed.usecase.name, *testbed.topics)[testbed.topics[0], 0] == offset
    assert by_source(testbed.predictions()).keys() == {
        (testbed.topics[0], 0, each) for each in fine
    }


def test_probes_and_metrics_answer_while_the_work_is_stuck(
    cluster: Cluster, tmp_path: Path
) -> None:
    """They are served from a thread of their own: a person sees a lag that does not fall."""
    testbed = Testbed(hostile, tmp_path, cluster, NO_REDIS)
    with testbed.worker(work_deadline_seconds=600.0) as worker:
        worker.ready()
        say(testbed, "feature hang")
        for _ in range(3):
            eventually(
                "the lag stands", lambda: worker.metric("stream_app_consumer_lag_records") == 1
            )
            for path in ("/livez", "/readyz", "/metrics"):
                assert worker.get(path)[0] == 200


def test_a_call_that_keeps_the_interpreter_to_itself_ends_the_process_too(
    cluster: Cluster, tmp_path: Path
) -> None:
    """No thread of ours can run then; the interpreter's own watchdog shows where it hangs."""
    testbed = Testbed(hostile, tmp_path, cluster, NO_REDIS)
    with testbed.worker(work_deadline_seconds=3.0) as worker:
        worker.ready()
        say(testbed, "feature spin")
        eventually("it has ended", lambda: not worker.is_running)
        assert worker.stop(seconds=0.0) == 1
        assert "hostile.py" in worker.log
        assert "_spin" in worker.log
