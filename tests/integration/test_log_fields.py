"""The log of a real worker: what each line is about can be asked for by field."""

import json
from pathlib import Path

from tests.integration.conftest import NO_REDIS
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Sent, eventually
from tests.usecases import text


def test_the_lines_of_a_worker_name_application_and_place(cluster: Cluster, tmp_path: Path) -> None:
    """Every line the application, that of a dead letter its record, that of a rebalance its partitions."""
    testbed = Testbed(text, tmp_path, cluster, NO_REDIS)
    (topic,) = testbed.topics
    with testbed.worker(log_format="json") as worker:
        worker.ready()
        ((_, offset),) = cluster.produce([Sent(topic, b"no ticket", partition=1)])
        eventually("it is a dead letter", testbed.drained)
        assert worker.stop() == 0, worker.log
        lines = [json.loads(line) for line in worker.log.splitlines() if line.startswith("{")]
    assert lines
    assert {line.get("application") for line in lines} == {testbed.usecase.name}
    (letter,) = [line for line in lines if line["message"].startswith("dead letter: ")]
    assert (letter["topic"], letter["partition"], letter["offset"]) == (topic, 1, offset)
    (assigned,) = [line for line in lines if line["message"].startswith("assigned ")]
    (gave_up,) = [line for line in lines if line["message"].startswith("gave up ")]
    assert assigned["partitions"] == gave_up["partitions"]
    assert f"{topic}[1]" in assigned["partitions"]
