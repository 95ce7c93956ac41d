"""Three brokers as child processes: one of them may be lost, and nothing is."""

from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient, ConfigResource

from stream_app.local import LocalKafkaCluster
from tests.integration.worker import Cluster, Sent
from tests.services import choose


@pytest.fixture(scope="module")
def brokers(request: pytest.FixtureRequest) -> Iterator[LocalKafkaCluster]:
    """Three nodes of these tests' own."""
    if choose(request.config.getoption("--services")) != "local":
        pytest.skip("only brokers that run as local child processes can be killed")
    with LocalKafkaCluster() as brokers:
        brokers.create_topics({"events": 2})
        yield brokers


def test_everything_is_kept_three_times(brokers: LocalKafkaCluster) -> None:
    """Topics have three replicas on three nodes, and two must have a record."""
    admin = AdminClient({"bootstrap.servers": brokers.bootstrap})
    described = admin.list_topics("events", timeout=10)
    assert sorted(described.brokers) == [1, 2, 3]
    for partition in described.topics["events"].partitions.values():
        assert sorted(partition.replicas) == [1, 2, 3]
    resource = ConfigResource(ConfigResource.Type.TOPIC, "events")
    settings = admin.describe_configs([resource])[resource].result()
    assert settings["min.insync.replicas"].value == "2"


def test_a_leader_that_is_killed_takes_no_acknowledged_record_with_it(
    brokers: LocalKafkaCluster,
) -> None:
    """Another node leads, goes on acknowledging, and has what the first one acknowledged."""
    cluster = Cluster(brokers.internal)
    cluster.produce([Sent("events", b"before", partition=0)])
    leader = brokers.leader("events")
    leader.kill()
    try:
        cluster.produce([Sent("events", b"after", partition=0)])
        assert brokers.leader("events") is not leader
        assert [out.value for out in cluster.read("events")] == [b"before", b"after"]
    finally:
        leader.start()


def test_a_node_alone_acknowledges_nothing(brokers: LocalKafkaCluster) -> None:
    """With two of three nodes gone no record is acknowledged; with all back, again."""
    lost = [node for node in brokers.nodes if node is not brokers.leader("events", 1)]
    for node in lost:
        node.kill()
    reports: list[KafkaError | None] = []
    try:
        producer = Producer(
            {"bootstrap.servers": brokers.internal, "acks": "all", "log_level": 0}
            | {"message.timeout.ms": 1_500}
        )
        producer.produce(
            "events", b"alone", partition=1, on_delivery=lambda error, _: reports.append(error)
        )
        assert producer.flush(20) == 0
        assert reports[0] is not None
    finally:
        for node in lost:
            node.start()
    Cluster(brokers.internal).produce([Sent("events", b"together", partition=1)])
