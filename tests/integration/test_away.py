"""A service is away for a while: the worker waits, says so, and goes on by itself."""

import re
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stream_app.local import LocalKafka, LocalRedis
from tests.integration.conftest import NO_REDIS
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Worker
from tests.usecases import regression, text

QUIET_SECONDS = 5.0
"""How long a waiting worker is looked at."""
MOST_CPU = 0.15
"""Share of a core: 0.05 is aimed at, and other tests may run beside this one."""
MOST_LINES = 10
"""Of the log; librdkafka may tell each of its kinds of message once in ten seconds."""

SMALL = {"batch_max_records": 30, "poll_max_records": 200}


pytestmark = pytest.mark.usefixtures("local_only")


@pytest.fixture(scope="module")
def own_kafka() -> Iterator[LocalKafka]:
    """A broker that the tests may kill."""
    with LocalKafka() as service:
        yield service


def check_is_quiet(worker: Worker) -> None:
    """While it waits it neither spins nor floods its log."""
    lines, used, began = worker.log.count("\n"), worker.cpu_seconds(), time.monotonic()
    until = began + QUIET_SECONDS
    worker.until("some time has passed", lambda: time.monotonic() > until)
    share = (worker.cpu_seconds() - used) / (time.monotonic() - began)
    written = worker.log.count("\n") - lines
    print(f"QUIET share={share:.4f} lines={written}")
    assert share < MOST_CPU, f"it uses {share:.0%} of a core while it waits"
    assert written <= MOST_LINES, worker.log


def check_waits_and_goes_on(
    testbed: Testbed, service: str, away: Callable[[], None], back: Callable[[], None]
) -> str:
    """In the middle of a backlog `service` goes away and comes back; returns the worker's log."""
    testbed.cluster.produce(testbed.meters(5_000))
    with testbed.worker(**SMALL, redis_timeout_seconds=1.0) as worker:
        worker.ready().until(
            "there are predictions",
            lambda: testbed.cluster.count(testbed.usecase.predictions_topic) >= 100,
        )
        away()
        try:

            def says_why() -> bool:
                status, why = worker.get("/readyz")
                return status == 503 and f"waits for {service}" in why

            worker.until(f"it waits for {service}", says_why)
            status, why = worker.get("/livez")
            assert status == 200, why
            assert worker.metric("stream_app_waiting", service=service) == 1
            check_is_quiet(worker)
        finally:
            back()
        worker.until("the backlog is drained", testbed.drained)
        worker.until("it is ready again", lambda: worker.get("/readyz")[0] == 200)
        assert worker.metric("stream_app_waiting", service=service) == 0
        if service == "redis":
            assert worker.metric("stream_app_rebalances_total") == 1, "it kept its membership"
        waits = worker.log.count(f"waiting for {service}: ")
        # While a broker goes or comes back, one thread may be answered before another asks.
        assert 1 <= waits <= (2 if service == "kafka" else 1), worker.log
        assert worker.log.count(f"{service} is back after ") == waits, worker.log
        assert "Traceback" not in worker.log
        assert worker.stop() == 0, worker.log
        return worker.log


@pytest.mark.parametrize("end", ["kill", "freeze"])
def test_redis_away(cluster: Cluster, own_redis: LocalRedis, tmp_path: Path, end: str) -> None:
    """No request is lost or dead-lettered, no event counted twice, and nothing published twice."""
    testbed = Testbed(regression, tmp_path, cluster, own_redis.url)
    away, back = (
        (own_redis.kill, own_redis.start) if end == "kill" else (own_redis.pause, own_redis.resume)
    )
    check_waits_and_goes_on(testbed, "redis", away, back)
    testbed.check_nothing_lost(once=True)
    testbed.check_each_counted_once()


def redis_refuses(redis: LocalRedis, wrong: dict[str, str]) -> tuple[Callable[[], None], ...]:
    """What sets Redis wrong and cuts connections, and what sets it right."""
    client = Redis.from_url(redis.url, retry=Retry(NoBackoff(), 0))
    right = {name: client.config_get(name)[name] for name in wrong}

    def away() -> None:
        for name, value in wrong.items():
            client.config_set(name, value)
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def back() -> None:
        for name, value in right.items():
            client.config_set(name, value)
        client.close()

    return away, back


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"maxclients": "1"}, "max number of clients"),
        ({"requirepass": "secret"}, "authenticat"),
        ({"maxmemory": "1"}, "OOM|used memory"),
    ],
    ids=["too many clients", "a password it did not have", "out of memory"],
)
def test_redis_refuses(
    cluster: Cluster, own_redis: LocalRedis, tmp_path: Path, wrong: dict[str, str], told: str
) -> None:
    """It is waited for like one that is gone, and the log says what it said."""
    testbed = Testbed(regression, tmp_path, cluster, own_redis.url)
    log = check_waits_and_goes_on(testbed, "redis", *redis_refuses(own_redis, wrong))
    assert re.search(f"(waiting for redis|redis is still away): .*({told})", log, re.IGNORECASE), (
        log
    )
    testbed.check_nothing_lost(once=True)
    testbed.check_each_counted_once()


@pytest.mark.parametrize("stale", ["yes", "no"], ids=["READONLY", "MASTERDOWN"])
def test_redis_fails_over(
    cluster: Cluster, own_redis: LocalRedis, tmp_path: Path, stale: str
) -> None:
    """A node that is a replica now, with its master gone, is waited for until it is the master."""
    testbed = Testbed(regression, tmp_path, cluster, own_redis.url)
    with Redis.from_url(own_redis.url) as client:
        client.config_set("replica-serve-stale-data", stale)
        check_waits_and_goes_on(
            testbed,
            "redis",
            lambda: client.replicaof("127.0.0.1", "1"),
            lambda: client.replicaof("NO", "ONE"),
        )
    testbed.check_nothing_lost(once=True)
    testbed.check_each_counted_once()


def test_redis_loads_its_data(cluster: Cluster, tmp_path: Path) -> None:
    """While it does, it answers LOADING to everything."""
    with LocalRedis(settings={"enable-debug-command": "local"}) as redis:
        testbed = Testbed(regression, tmp_path, cluster, redis.url)
        with Redis.from_url(redis.url, socket_timeout=60.0) as client:
            client.mset({f"something else {number}": "" for number in range(4_000)})
            client.config_set("key-load-delay", 2_500)  # microseconds a key
            client.config_set("loading-process-events-interval-bytes", 1_024)
            loading = Thread(target=client.execute_command, args=("DEBUG", "RELOAD"))
            log = check_waits_and_goes_on(testbed, "redis", loading.start, loading.join)
        assert "loading the dataset" in log, log
        testbed.check_nothing_lost(once=True)
        testbed.check_each_counted_once()


@pytest.mark.parametrize("end", ["kill", "freeze"])
def test_kafka_away(own_kafka: LocalKafka, redis_url: str, tmp_path: Path, end: str) -> None:
    """No request is lost or dead-lettered, and the offsets are committed in the end."""
    testbed = Testbed(regression, tmp_path, Cluster(own_kafka.bootstrap), redis_url)
    away, back = (
        (own_kafka.kill, own_kafka.start) if end == "kill" else (own_kafka.pause, own_kafka.resume)
    )
    check_waits_and_goes_on(testbed, "kafka", away, back)
    testbed.check_nothing_lost()
    testbed.check_each_counted_once(bits=False)


def test_a_broker_frozen_for_longer_than_its_session_is_not_waited_for_afterwards(
    own_kafka: LocalKafka, tmp_path: Path
) -> None:
    """Its partitions have another leader epoch then; also for a worker that has no partition."""
    testbed = Testbed(text, tmp_path, Cluster(own_kafka.bootstrap), NO_REDIS)
    workers = [testbed.worker() for _ in range(testbed.usecase.topics[0].partitions + 1)]
    with ExitStack() as stack:
        for worker in workers:
            stack.enter_context(worker).ready()
        for _ in range(2):
            own_kafka.pause()
            try:
                for worker in workers:
                    worker.until("it waits", lambda w=worker: w.get("/readyz")[0] == 503)
            finally:
                own_kafka.resume()
            for worker in workers:
                worker.until("it is ready again", lambda w=worker: w.get("/readyz")[0] == 200)
        testbed.cluster.produce(testbed.tickets(100))
        workers[0].until("all is done", testbed.drained)


def test_a_slow_broker(own_kafka: LocalKafka, redis_url: str, tmp_path: Path) -> None:
    """One that answers only now and then is no reason to lose a partition or a record."""
    testbed = Testbed(regression, tmp_path, Cluster(own_kafka.bootstrap), redis_url)
    testbed.cluster.produce(testbed.meters(2_000))
    done = threading.Event()

    def falter() -> None:
        while not done.is_set():
            own_kafka.pause()
            done.wait(0.4)
            own_kafka.resume()
            done.wait(0.1)

    with testbed.worker(**SMALL, session_timeout_seconds=10) as worker:
        worker.ready()
        faltering = Thread(target=falter)
        faltering.start()
        try:
            worker.until(
                "all is finished", lambda: worker.metric("stream_app_records_total") == 2_000
            )
        finally:
            done.set()
            faltering.join()
        worker.until("the offsets are committed", testbed.drained)
        assert worker.metric("stream_app_rebalances_total", kind="lost") == 0
        assert worker.stop() == 0, worker.log
    testbed.check_nothing_lost(once=True)
    testbed.check_each_counted_once()


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_a_worker_told_to_stop_while_kafka_is_away_stops(
    own_kafka: LocalKafka, redis_url: str, tmp_path: Path, delivery: str
) -> None:
    """It cannot leave its group, but waits no longer for it than it was told to."""
    testbed = Testbed(regression, tmp_path, Cluster(own_kafka.bootstrap), redis_url)
    testbed.cluster.produce(testbed.meters(5_000))
    with testbed.worker(**SMALL, drain_seconds=2.0, delivery=delivery) as worker:
        worker.ready().until(
            "there are predictions",
            lambda: testbed.cluster.count(testbed.usecase.predictions_topic) >= 100,
        )
        own_kafka.pause()
        try:
            worker.until("it waits for kafka", lambda: "kafka" in worker.get("/readyz")[1])
            began = time.monotonic()
            assert worker.stop(seconds=60.0) in (0, 1), worker.tail()
            took = time.monotonic() - began
            print(f"STOP took {took:.1f} s")
            assert took < 15.0, worker.log
        finally:
            own_kafka.resume()
        worker.start()
        worker.until("the backlog is drained", testbed.drained)
    testbed.check_nothing_lost()


def test_a_full_disk_at_the_broker(redis_url: str, tmp_path: Path) -> None:
    """The broker gives up; when it is back with room on its disk, the worker goes on."""
    with LocalKafka() as kafka:
        testbed = Testbed(regression, tmp_path, Cluster(kafka.bootstrap), redis_url)

        def fill() -> None:
            # What a full disk does: no file grows any more.
            assert kafka.pid is not None
            resource.prlimit(kafka.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))

        check_waits_and_goes_on(testbed, "kafka", fill, kafka.restart)
        testbed.check_nothing_lost()
        testbed.check_each_counted_once(bits=False)


def test_a_worker_started_while_both_are_away_begins_when_they_come(
    own_kafka: LocalKafka, own_redis: LocalRedis, tmp_path: Path
) -> None:
    """It starts, says what it waits for, and needs no restart."""
    testbed = Testbed(regression, tmp_path, Cluster(own_kafka.bootstrap), own_redis.url)
    testbed.cluster.produce(testbed.meters(300))
    own_kafka.kill()
    own_redis.kill()
    with testbed.worker() as worker:
        worker.until("it says that it is not ready", lambda: worker.get("/readyz")[0] == 503)
        assert worker.get("/livez")[0] == 200
        own_kafka.start()
        worker.until("it waits for Redis", lambda: "redis" in worker.get("/readyz")[1])
        own_redis.start()
        worker.until("the backlog is drained", testbed.drained)
    testbed.check_nothing_lost(once=True)
    testbed.check_each_counted_once()


def test_what_was_finished_while_kafka_was_away_is_committed_when_it_is_back(
    own_kafka: LocalKafka, redis_url: str, tmp_path: Path
) -> None:
    """A commit that failed is not forgotten, also where no further record comes."""
    testbed = Testbed(regression, tmp_path, Cluster(own_kafka.bootstrap), redis_url)
    testbed.cluster.produce(testbed.meters(300))
    with testbed.worker(commit_interval_seconds=4.0, session_timeout_seconds=45) as worker:
        worker.until("all is finished", lambda: worker.metric("stream_app_records_total") == 300)
        assert not testbed.drained(), "the commit came before the broker went"
        own_kafka.kill()
        due = time.monotonic() + 5.0
        worker.until("it is not ready", lambda: worker.get("/readyz")[0] == 503)
        worker.until("the commit is due", lambda: time.monotonic() > due)
        own_kafka.start()
        worker.until("the offsets are committed", testbed.drained)
        assert worker.metric("stream_app_records_total") == 300
        assert worker.stop() == 0, worker.log
    testbed.check_nothing_lost(once=True)
