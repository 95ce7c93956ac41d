"""`stream-app run --workers N` on a real Kafka and a real Redis."""

import json
import os
import re
import signal
from pathlib import Path

import pytest

from tests.integration.testbed import Testbed
from tests.integration.worker import Worker, by_source, eventually

COMMAND = ("-m", "stream_app", "run", "--workers", "2")
EVENTS = 600


def workers(testbed: Testbed, **settings: object) -> Worker:
    """Two workers behind one supervisor."""
    return testbed.worker(command=COMMAND, **settings)


def process_of(supervisor: Worker, number: int) -> int:
    """The process that runs in a slot."""
    found = re.findall(rf"worker {number} is started, process (\d+)", supervisor.log)
    return int(found[-1])


def runs(pid: int) -> bool:
    """Whether a process is there, and not only waiting to be reaped."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_a_worker_that_is_killed_is_started_again_and_nothing_is_lost(
    meters: Testbed, delivery: str
) -> None:
    """The other one goes on; every record has its prediction, and all are counted by their worker."""
    cluster, sent = meters.cluster, meters.meters(EVENTS)
    with workers(
        meters, delivery=delivery, batch_max_records=20, transaction_timeout_seconds=2
    ) as made:
        made.ready()
        cluster.produce(sent[: EVENTS // 2])
        made.until(
            "some are predicted", lambda: cluster.count(meters.usecase.predictions_topic) > 20
        )
        os.kill(process_of(made, 1), signal.SIGKILL)
        cluster.produce(sent[EVENTS // 2 :])
        made.until("it is started again", lambda: made.log.count("worker 1 is started") == 2)
        made.until("all is committed", lambda: cluster.drained(meters.usecase), 90)
        made.ready()
        assert made.metric("stream_app_supervisor_starts_total", worker="1") == 2
        assert made.metric("stream_app_records_total", worker="2") > 0
        said = json.loads(made.get("/readyz")[1])
        assert set(said["workers"]) == {"1", "2"}
        assert "worker 1 ended by SIGKILL" in made.log
        assert made.stop() == 0, made.log
    found = by_source(cluster.read(meters.usecase.predictions_topic))
    asked = [each for each in sent if "minutes_ahead" in str(each.value)]
    assert len(found) == len(asked)
    if delivery == "exactly_once":
        assert {len(each) for each in found.values()} == {1}


def test_static_members_come_back_without_moving_a_partition(meters: Testbed) -> None:
    """Each slot has an id of its own, made of the host's."""
    cluster = meters.cluster
    settings = {"group_instance_id": "host-a", "session_timeout_seconds": 20}
    with workers(meters, **settings) as made:
        made.ready()
        cluster.produce(meters.meters(100))
        made.until("all is committed", lambda: cluster.drained(meters.usecase))
        before = made.metric("stream_app_rebalances_total", worker="2")
        os.kill(process_of(made, 1), signal.SIGKILL)
        made.until("it is started again", lambda: made.log.count("worker 1 is started") == 2)
        made.ready()
        assert made.metric("stream_app_rebalances_total", worker="2") == before
        names = set(re.findall(r"worker=(host-a-\d)", made.log))
        assert names == {"host-a-1", "host-a-2"}
        assert made.stop() == 0, made.log


def test_sigterm_drains_all_of_them(meters: Testbed) -> None:
    """Under load, with status 0, and what was in flight is committed."""
    cluster = meters.cluster
    with workers(meters) as made:
        made.ready()
        cluster.produce(meters.meters(2_000))
        made.until("they are at work", lambda: made.metric("stream_app_records_total") > 0)
        assert made.stop() == 0, made.log
        assert made.log.count("told to stop: finishing what is in flight") == 2
    committed = cluster.committed(meters.usecase.name, *meters.topics)
    before = {place: offset for place, offset in committed.items() if offset}
    assert before
    known = by_source(cluster.read(meters.usecase.predictions_topic))
    assert all(len(each) == 1 for each in known.values())
    assert all(offset < before.get((topic, part), 0) for topic, part, offset in known)


def test_a_wrong_setting_is_one_line_and_status_2(meters: Testbed) -> None:
    """Found by the supervisor, by the first worker, or when the group is joined: no restarts."""
    with workers(meters, linger_seconds="soon") as made:
        assert made.wait() == 2
        assert "linger_seconds" in made.log
        assert "is started" not in made.log
    with workers(meters, artifacts="/nowhere") as made:
        assert made.wait() == 2
        assert made.log.count("is started, process") == 1
        assert "worker 1 ended with status 2" in made.log
    meters.cluster.delete_topic(meters.usecase.predictions_topic)
    with workers(meters) as made:
        assert made.wait(60) == 2
        assert made.log.count("is started, process") <= 2
        assert meters.usecase.predictions_topic in made.last_words


def test_workers_end_in_order_when_their_supervisor_is_killed(meters: Testbed) -> None:
    """None is left over, and the group is left at once."""
    with workers(meters) as made:
        made.ready()
        left = [process_of(made, number) for number in (1, 2)]
        supervisor = made._process.pid
        assert supervisor is not None
        os.kill(supervisor, signal.SIGKILL)
        assert made.wait() == -signal.SIGKILL
        eventually("no worker is left", lambda: not any(map(runs, left)))
        assert made.log.count("told to stop") == 2
