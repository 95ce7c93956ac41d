"""kill -9, wherever it hits: nothing is lost, doubles are the same, state counts each event once."""

from pathlib import Path

from stream_app.local import LocalRedis
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, by_source
from tests.usecases import regression

#: Small batches and polls, so that a kill hits many things at once.
SMALL = {"batch_max_records": 30, "poll_max_records": 200}


def test_kill_9_in_a_backlog_loses_nothing(meters: Testbed) -> None:
    """Killed twice and started again, every request is answered and every event counted once."""
    meters.cluster.produce(meters.meters(9_000))
    with meters.worker(**SMALL) as worker:
        for enough in (150, 1_000):
            worker.until(
                f"there are {enough} predictions",
                lambda enough=enough: (
                    meters.cluster.count(meters.usecase.predictions_topic) >= enough
                ),
            )
            worker.kill()
            assert not meters.drained(), "the backlog is too small for this test"
            worker.start()
        worker.until("the backlog is drained", meters.drained)
    predictions = meters.check_nothing_lost()
    assert len(predictions) >= 3_000
    meters.check_each_counted_once()


def test_kill_9_between_publishing_and_the_state_publishes_the_same_again(
    cluster: Cluster, own_redis: LocalRedis, tmp_path: Path
) -> None:
    """Published while Redis was away, so not in the state: published again, byte for byte."""
    testbed = Testbed(regression, tmp_path, cluster, own_redis.url)
    cluster.produce(testbed.meters(5_000))
    with testbed.worker(**SMALL) as worker:
        worker.until(
            "something is published",
            lambda: cluster.count(testbed.usecase.predictions_topic) > 200,
        )
        own_redis.kill()
        worker.until("it waits for Redis", lambda: "redis" in worker.get("/readyz")[1])
        worker.kill()
        own_redis.start()
        worker.start()
        worker.until("the backlog is drained", testbed.drained)
    predictions = testbed.check_nothing_lost()
    copies = by_source(predictions).values()
    again = [each for each in copies if len(each) > 1]
    assert again, "nothing was published twice: this test hit nothing"
    assert any(all(c.header("state-ahead") is None for c in each) for each in again)
    testbed.check_each_counted_once()


def test_kill_9_before_the_commit_publishes_the_same_again(meters: Testbed) -> None:
    """What was written and not committed is read again, told apart by the fences, and not counted."""
    meters.cluster.produce(meters.meters(900))
    with meters.worker(commit_interval_seconds=60.0) as worker:
        worker.until(
            "all is predicted",
            lambda: meters.cluster.count(meters.usecase.predictions_topic) == 300,
        )
        worker.until(
            "all is finished",
            lambda: worker.metric("stream_app_records_total") == 900,
        )
        assert not any(meters.cluster.committed(meters.usecase.name, *meters.topics).values())
        worker.kill()
    meters.check_each_counted_once()
    with meters.worker() as worker:
        worker.until("the backlog is drained", meters.drained)
        assert worker.metric("stream_app_records_total") == 900
    predictions = meters.check_nothing_lost()
    assert len(predictions) == 600
    # The state was ahead of every request, which the second copies say.
    for first, second in by_source(predictions).values():
        assert first.header("state-ahead") is None
        assert second.header("state-ahead") == "true"
        assert first.header("prediction-id") == second.header("prediction-id")
    meters.check_each_counted_once()
