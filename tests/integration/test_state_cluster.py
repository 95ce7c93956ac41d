"""A worker whose state is on a Redis Cluster, and one that is told another number of buckets."""

from pathlib import Path

from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster
from tests.redis_cluster import LocalRedisCluster
from tests.usecases import regression


def test_state_on_a_redis_cluster_counts_each_event_once(
    cluster: Cluster, redis_cluster: LocalRedisCluster, tmp_path: Path
) -> None:
    """Every node has a share, and kill -9 takes nothing from it."""
    testbed = Testbed(regression, tmp_path, cluster, redis_cluster.url)
    cluster.produce(testbed.meters(4_000))
    with testbed.worker(batch_max_records=100, poll_max_records=400) as worker:
        worker.until(
            "there are predictions",
            lambda: cluster.count(testbed.usecase.predictions_topic) >= 200,
        )
        worker.kill()
        worker.start()
        worker.until("the backlog is drained", testbed.drained)
    testbed.check_nothing_lost()
    testbed.check_each_counted_once()
    assert all(redis_cluster.ask(node, "DBSIZE") > 0 for node in redis_cluster.nodes)


def test_another_number_of_buckets_ends_the_worker_with_a_sentence(meters: Testbed) -> None:
    """It neither starts from nothing nor commits anything."""
    meters.cluster.produce(meters.meters(300))
    with meters.worker() as worker:
        worker.until("the backlog is drained", meters.drained)
    meters.cluster.produce(meters.meters(300))
    with meters.worker(state_buckets=4) as worker:
        assert worker.wait() == 2
        assert "state_buckets: the application's state is spread over 1 buckets" in worker.log
        assert "Traceback" not in worker.log
    assert not meters.drained()
