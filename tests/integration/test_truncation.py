"""Brokers are lost: an election is unclean, and a leader lacks records which had been acknowledged;
or what is left is too few for anything to be acknowledged."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from stream_app.errors import ServiceAwayError
from stream_app.features.usecase import UseCase
from stream_app.local import LocalKafkaCluster, create_topics
from tests.integration.conftest import NO_REDIS
from tests.integration.test_refused_records import MODES, alter
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Worker, eventually
from tests.usecases import text

pytestmark = pytest.mark.usefixtures("local_only")

_UNCLEAN = {"unclean.leader.election.enable": "true", "min.insync.replicas": "1"}


class TwoReplicas(Cluster):
    """Its event topics have one partition each, on the nodes 1 and 2, and elect any leader."""

    def create(self, usecase: UseCase) -> None:
        """Make the topics of a use case."""
        out = (usecase.predictions_topic, usecase.dead_letters_topic)
        create_topics(self.bootstrap, dict.fromkeys(out, 1))
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        topics = [
            NewTopic(topic.name, 1, replica_assignment=[[1, 2]], config=_UNCLEAN)
            for topic in usecase.topics
        ]
        for made in admin.create_topics(topics).values():
            made.result(30)


@pytest.fixture(scope="module")
def three_nodes() -> Iterator[LocalKafkaCluster]:
    """Brokers that the test may kill."""
    with LocalKafkaCluster() as brokers:
        yield brokers


def described(brokers: LocalKafkaCluster, topic: str) -> Any:
    """Leader and replicas of its partition, as a broker knows them that lives."""
    admin = AdminClient({"bootstrap.servers": brokers.internal, "log_level": 0})
    with suppress(KafkaException):
        return admin.list_topics(topic, timeout=5).topics[topic].partitions.get(0)
    return None


def drained(testbed: Testbed, application: str) -> bool:
    """Whether a group has committed all there is."""
    with suppress(ServiceAwayError):
        return testbed.cluster.committed(application, *testbed.topics) == testbed.cluster.ends(
            *testbed.topics
        )
    return False


def test_a_log_that_lost_what_was_read_is_refused(
    three_nodes: LocalKafkaCluster, tmp_path: Path
) -> None:
    """Though it holds other records at those offsets now: by a worker that lives, and by one that
    starts. Both end with a sentence, in both modes, and nothing is scored in between."""
    first, second, _ = three_nodes.nodes
    with closing(TwoReplicas(three_nodes.bootstrap)) as cluster:
        testbed = Testbed(text, tmp_path, cluster, NO_REDIS)
        (topic,) = testbed.topics
        cluster.produce(testbed.tickets(40))
        modes = {"alive": "at_least_once", "stopped": "exactly_once", "plain": "at_least_once"}
        workers = {
            name: testbed.worker(application=name, delivery=mode, session_timeout_seconds=60)
            for name, mode in modes.items()
        }
        with workers["alive"] as alive, workers["stopped"] as stopped, workers["plain"] as plain:
            second.kill()
            eventually("node 1 is alone", lambda: described(three_nodes, topic).isrs == [1])
            cluster.produce(testbed.tickets(30))
            for name, worker in workers.items():
                worker.until("all is done", lambda name=name: drained(testbed, name))  # type: ignore[misc]
            alive.pause()
            assert stopped.stop() == 0
            assert plain.stop() == 0
            published = cluster.count(testbed.usecase.predictions_topic)
            first.kill()
            second.restart()
            eventually(
                "node 2 leads", lambda: getattr(described(three_nodes, topic), "leader", 0) == 2
            )
            cluster.produce(testbed.tickets(60))
            assert cluster.ends(topic)[topic, 0] == 100
            alive.resume()
            stopped.start()
            plain.start()
            for worker in workers.values():
                check_refuses(worker, topic)
            assert len(testbed.predictions()) == 3 * 70
            assert published >= 3 * 70


def check_refuses(worker: Worker, topic: str) -> None:
    """It ends with one sentence that names the partition and what to do."""
    assert worker.wait() == 1, worker.tail()
    assert f"{topic}[0] no longer holds what was read of it" in worker.log, worker.tail()
    assert "the brokers lost records they had acknowledged" in worker.log, worker.tail()
    assert "Traceback" not in worker.log, worker.tail()


def test_too_few_replicas_are_named_and_waited_for(
    three_nodes: LocalKafkaCluster, tmp_path: Path
) -> None:
    """By the log and /readyz, in both modes; what waited is published afterwards, once."""
    three_nodes.nodes[0].kill()  # if it lives: it is not needed any more
    with closing(Cluster(three_nodes.internal)) as cluster, ExitStack() as stack:
        testbeds = {mode: Testbed(text, tmp_path / mode, cluster, NO_REDIS) for mode in MODES}
        workers = {
            mode: stack.enter_context(testbed.worker(delivery=mode, refusal_seconds=2))
            for mode, testbed in testbeds.items()
        }
        for mode, testbed in testbeds.items():
            workers[mode].ready()
            alter(cluster, testbed.usecase.predictions_topic, min_insync_replicas="3")
            cluster.produce(testbed.tickets(30))
        why = "2 are in sync, and min.insync.replicas is 3"
        for mode, testbed in testbeds.items():
            worker = workers[mode]
            worker.until("the probe says why", lambda w=worker: why in w.get("/readyz")[1])  # type: ignore[misc]
            assert worker.get("/readyz")[0] == 503
            assert f"of 3 replicas of {testbed.usecase.predictions_topic}[" in worker.log
            assert not testbed.predictions()
            alter(cluster, testbed.usecase.predictions_topic, min_insync_replicas="2")
        for mode, testbed in testbeds.items():
            workers[mode].until("the backlog is drained", testbed.drained)
            assert "Traceback" not in workers[mode].log
            testbed.check_nothing_lost(once=True)
