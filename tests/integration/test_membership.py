"""Members of a group: shut out, standing by, and what the readiness probe is told of it."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from stream_app.local import LocalKafka
from tests.integration.conftest import NO_REDIS
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, eventually
from tests.usecases import text

pytestmark = pytest.mark.usefixtures("local_only")

_SESSION_MS = 20_000


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[LocalKafka]:
    """A broker on which a session of KIP-848 ends soon: 45 s are the default."""
    session = {"group.consumer.session.timeout.ms": str(_SESSION_MS)}
    with LocalKafka(properties=session) as service:
        yield service


@pytest.fixture
def testbed(own_kafka: LocalKafka, tmp_path: Path) -> Iterator[Testbed]:
    """A use case without state on that broker."""
    with closing(Cluster(own_kafka.bootstrap)) as cluster:
        yield Testbed(text, tmp_path, cluster, NO_REDIS)


def test_a_static_member_that_was_killed_is_followed_by_its_successor(testbed: Testbed) -> None:
    """Started at once, while the brokers still know the one that is gone: it takes its partitions
    when that one's session is over, and until then it is not ready and says why."""
    settings = {"group_protocol": "consumer", "group_instance_id": "one"}
    with testbed.worker(**settings) as killed:
        killed.ready()
        killed.kill()
        with testbed.worker(**settings) as successor:
            successor.until(
                "it says why it is not ready", lambda: "same group_instance_id" in successor.log
            )
            assert successor.get("/readyz")[0] == 503
            testbed.cluster.produce(testbed.tickets(50))
            successor.until("all is done", testbed.drained)
            assert successor.get("/readyz")[0] == 200


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_of_two_workers_with_one_id_one_ends_with_a_sentence(
    testbed: Testbed, protocol: str
) -> None:
    """The other one does the work."""
    settings = {
        "group_protocol": protocol, "group_instance_id": "one", "refusal_seconds": 5,
        "session_timeout_seconds": 6,
    }  # fmt: skip
    with testbed.worker(**settings) as first:
        first.ready()
        with testbed.worker(**settings) as second:
            ended = eventually(
                "one of them ends",
                lambda: next((w for w in (first, second) if w.wait(0.1) is not None), None),
            )
            assert ended.wait() == 1
            (last,) = [line for line in ended.log.splitlines() if "cannot go on" in line]
            assert "group_instance_id" in last
            assert "Traceback" not in ended.log
            left = second if ended is first else first
            testbed.cluster.produce(testbed.tickets(50))
            left.until("all is done", testbed.drained)


def test_a_worker_for_which_there_is_no_partition_stands_by(testbed: Testbed) -> None:
    """It is ready and says that it has none."""
    partitions = len(testbed.cluster.ends(*testbed.topics))
    with ExitStack() as stack:
        workers = [
            stack.enter_context(testbed.worker(group_protocol="consumer"))
            for _ in range(partitions + 1)
        ]
        for worker in workers:
            worker.ready()

        def standing_by() -> bool:
            told = [worker.get("/readyz") for worker in workers]
            return [status for status, why in told if "more members than partitions" in why] == [
                200
            ]

        eventually("one of them says that it has none", standing_by)
