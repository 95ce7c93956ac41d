"""Topics that are deleted and made anew while a worker uses them, or is frozen."""

import pytest
from confluent_kafka.admin import AdminClient

from stream_app.local import create_topics
from tests.integration.bed import Bed
from tests.integration.worker import Worker, eventually


def made_anew(bed: Bed, partitions: int | None = None) -> None:
    """Delete the topics of events and make them again, with as many partitions unless told."""
    admin = AdminClient({"bootstrap.servers": bed.cluster.bootstrap})
    for future in admin.delete_topics(bed.topics).values():
        future.result(30)
    wanted = {topic.name: partitions or topic.partitions for topic in bed.usecase.topics}
    eventually(
        "the old topics are gone",
        lambda: not wanted.keys() & admin.list_topics(timeout=20).topics.keys(),
    )
    create_topics(bed.cluster.bootstrap, wanted)


def ends_or_goes_on(worker: Worker, bed: Bed) -> None:
    """The worker ends with the sentence and its successor goes on, or it goes on by itself."""
    ended = eventually("it ends or is done", lambda: worker.wait(0.1) is not None or bed.drained())
    assert ended
    if worker.wait(1.0) is not None:
        assert worker.wait(0.1) == 1, worker.tail()
        assert "was deleted and made anew while it was in use" in worker.log, worker.tail()
        assert "Traceback" not in worker.log, worker.tail()
        worker.start()
        worker.until("all is done", bed.drained)


@pytest.mark.parametrize("partitions", [None, 5, 1], ids=["as many", "more", "fewer"])
@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "running"])
@pytest.mark.parametrize(
    ("delivery", "protocol"),
    [("at_least_once", "classic"), ("exactly_once", "classic"), ("exactly_once", "consumer")],
)
def test_a_topic_made_anew_in_use_is_another_topic(
    meters: Bed, delivery: str, protocol: str, frozen: bool, partitions: int | None
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
        made_anew(meters, partitions)
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
