"""Topics that are deleted and made anew while a worker uses them, or is frozen."""

from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from stream_app.local import LocalKafka, create_topics
from tests.integration.conftest import NO_REDIS
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Worker, eventually
from tests.usecases import text


def made_anew(testbed: Testbed, topics: dict[str, int]) -> None:
    """Delete topics and make them again, with so many partitions."""
    admin = AdminClient({"bootstrap.servers": testbed.cluster.bootstrap})
    for future in admin.delete_topics(list(topics)).values():
        future.result(30)
    eventually(
        "the old topics are gone",
        lambda: not topics.keys() & admin.list_topics(timeout=20).topics.keys(),
    )
    create_topics(testbed.cluster.bootstrap, topics)


def ends_or_goes_on(worker: Worker, testbed: Testbed) -> None:
    """The worker ends with the sentence and its successor goes on, or it goes on by itself."""
    eventually("it ends or is done", lambda: worker.wait(0.1) is not None or testbed.drained())
    if worker.wait(1.0) is not None:
        assert worker.wait(0.1) == 1, worker.tail()
        assert "was deleted and made anew while it was in use" in worker.log, worker.tail()
        assert "Traceback" not in worker.log, worker.tail()
        worker.start()
        worker.until("all is done", testbed.drained)


@pytest.mark.parametrize(
    ("delivery", "protocol", "frozen", "partitions"),
    [
        ("at_least_once", "classic", False, None),
        ("exactly_once", "classic", True, None),
        ("at_least_once", "classic", True, 1),
        ("exactly_once", "consumer", False, 5),
    ],
    ids=["running", "frozen", "frozen, fewer partitions", "running, more partitions"],
)
def test_a_topic_made_anew_in_use_is_another_topic(
    meters: Testbed, delivery: str, protocol: str, frozen: bool, partitions: int | None
) -> None:
    """All of its records are predicted, each under its own id, and counted once."""
    meters.cluster.produce(meters.meters(300))
    with meters.worker(
        delivery=delivery, group_protocol=protocol, session_timeout_seconds=30
    ) as worker:
        worker.until("all is done", meters.drained)
        first = {out.header("prediction-id") for out in meters.predictions()}
        counts = {key: account[0] for key, account in meters.account().items()}
        if frozen:
            worker.pause()
        topics = {each.name: partitions or each.partitions for each in meters.usecase.topics}
        made_anew(meters, topics)
        # More than there were: a position of the old topic lies within the new one.
        meters.cluster.produce(meters.meters(1200, seed=8))
        if frozen:
            worker.resume()
        ends_or_goes_on(worker, meters)
    predictions = meters.predictions()
    second = [out for out in predictions if out.header("prediction-id") not in first]
    ids = {out.header("prediction-id") for out in second}
    assert len(ids) == 400
    if delivery == "exactly_once":
        assert len(second) == 400
    _, topic_ids = meters.cluster.topic_ids(*meters.topics)
    assert {str(name).rsplit("-", 2)[0] for name in ids} <= set(topic_ids.values())
    found = meters.account()
    for key, (added, *_) in meters.expected_account().items():
        assert found[key][0] == counts.get(key, 0) + added, key


def test_a_cluster_that_was_rebuilt_under_the_same_address(
    local_only: None, tmp_path: Path
) -> None:
    """Its topics are others: none of its records is skipped for an offset of the cluster before."""
    with LocalKafka() as old, closing(Cluster(old.bootstrap)) as cluster:
        testbed = Testbed(text, tmp_path, cluster, NO_REDIS)
        cluster.produce(testbed.tickets(60))
        worker = testbed.worker(delivery="exactly_once", session_timeout_seconds=30).start()
        worker.until("all is done", testbed.drained)
    with worker, LocalKafka(port=old.port) as new, closing(Cluster(new.bootstrap)) as cluster:
        testbed.cluster = cluster
        cluster.create(testbed.usecase)
        cluster.produce(testbed.tickets(130))
        ends_or_goes_on(worker, testbed)
        assert (
            len({out.source for out in testbed.predictions()}) == len(testbed.predictions()) == 130
        )


def test_a_topic_of_predictions_may_be_made_anew(tickets: Testbed) -> None:
    """What was in it is gone by the deed of whoever deleted it; all that comes goes into the new."""
    tickets.cluster.produce(tickets.tickets(50))
    with tickets.worker(delivery="exactly_once") as worker:
        worker.until("all is done", tickets.drained)
        made_anew(tickets, {tickets.usecase.predictions_topic: 3})
        tickets.cluster.produce(tickets.tickets(70))
        worker.until("all is done", tickets.drained)
        worker.until("it is ready", lambda: worker.get("/readyz")[0] == 200)
        assert worker.stop() == 0
    sources = {out.source for out in tickets.predictions()}
    assert len(sources) == len(tickets.predictions()) == 70


def test_a_topic_that_is_deleted_in_use_ends_the_worker_in_a_while(tickets: Testbed) -> None:
    """Until then it is not ready and says why."""
    tickets.cluster.produce(tickets.tickets(20))
    with tickets.worker(refusal_seconds=3) as worker:
        worker.until("all is done", tickets.drained)
        admin = AdminClient({"bootstrap.servers": tickets.cluster.bootstrap})
        for future in admin.delete_topics(tickets.topics).values():
            future.result(30)
        worker.until("it is not ready", lambda: worker.get("/readyz")[0] == 503)
        assert worker.wait() == 1, worker.tail()
        (last,) = [line for line in worker.log.splitlines() if "cannot go on" in line]
        assert tickets.topics[0] in last
        assert "create the topic, or correct its name" in last
        assert "Traceback" not in worker.log
