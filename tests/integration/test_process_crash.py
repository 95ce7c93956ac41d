"""A record that ends the process: restarted as often as it dies, the worker gets past it."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from redis import Redis

from tests.integration.conftest import NO_REDIS
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Sent, Worker, by_source
from tests.usecases import hostile, odd_meters

#: What a worker may be started, until it is past one record that kills: see crash_isolation_starts.
STARTS = 3


def restarted_until_drained(
    testbed: Testbed, worker: Worker, *, most: int, seconds: float = 120.0
) -> int:
    """Start a worker whenever it has ended, as Kubernetes does; return how often it ended."""
    deadline = time.monotonic() + seconds
    ends = 0
    while not testbed.drained():
        assert time.monotonic() < deadline, worker.tail()
        if not worker.is_running:
            ends += 1
            assert ends <= most, worker.tail()
            worker.start()
        time.sleep(0.1)
    return ends


def send(testbed: Testbed, texts: Sequence[str]) -> dict[str, list[tuple[str, int, int]]]:
    """Send messages; returns where those of each text are."""
    (topic,) = testbed.topics
    places = testbed.cluster.produce(
        Sent(topic, hostile.ticket(text), partition=number % 2, timestamp=time.time())
        for number, text in enumerate(texts)
    )
    found: dict[str, list[tuple[str, int, int]]] = {}
    for text, (partition, offset) in zip(texts, places, strict=True):
        found.setdefault(text, []).append((topic, partition, offset))
    return found


def counted(testbed: Testbed) -> bool:
    """Whether a committed offset says that a start got nowhere so far."""
    consumer = Consumer(
        {
            "bootstrap.servers": testbed.cluster.bootstrap,
            "group.id": testbed.usecase.name,
            "log_level": 0,
        }
    )
    try:
        places = consumer.committed(
            [TopicPartition(*place) for place in testbed.cluster.ends(*testbed.topics)], 20
        )
    finally:
        consumer.close()
    return any("starts=" in (place.metadata or "") for place in places)


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize(
    ("where", "harm", "how"),
    [
        ("decode", "abort", "ended with SIGABRT"),
        ("feature", "leave", "ended with exit status 0"),
        ("score", "abort", "ended with SIGABRT"),
    ],
)
def test_the_record_is_isolated_and_its_neighbours_pass(
    cluster: Cluster, tmp_path: Path, delivery: str, where: str, harm: str, how: str
) -> None:
    """It is dead-lettered where it kills, all others are predicted, and the offsets are committed."""
    testbed = Testbed(hostile, tmp_path, cluster, NO_REDIS)
    poison = f"{where} {harm}"
    texts = [f"thanks {number}" for number in range(300)]
    texts[120] = poison
    sent = send(testbed, texts)
    ((topic, partition, offset),) = sent.pop(poison)
    with testbed.worker(
        crash_isolation_starts=STARTS, batch_max_records=50, delivery=delivery
    ) as worker:
        assert restarted_until_drained(testbed, worker, most=STARTS) == STARTS
        worker.until("what was held back is given up", lambda: "past the records" in worker.log)
        send(testbed, ["thanks again"])
        worker.until("it goes on as usual", testbed.drained)
        assert worker.stop() == 0, worker.tail()
        assert f"{topic}[{partition}] {offset} is isolated" in worker.log
    (letter,) = testbed.dead_letters()
    told = {name: letter.header(f"dead-letter.{name}") for name in (
        "topic", "partition", "offset", "stage", "reason", "disposition", "state", "message",
    )}  # fmt: skip
    assert told == {
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
        "stage": {"feature": "enrich"}.get(where, where),
        "reason": "process-crash",
        "disposition": "bug",
        "state": "not-applied",
        "message": f"tried alone in a child process, it {how}",
    }
    assert letter.value is not None
    assert poison.encode() in letter.value
    predicted = by_source(testbed.predictions())
    assert predicted.keys() >= {place for places in sent.values() for place in places}
    assert len(predicted) == len(texts)
    if delivery == "exactly_once":
        assert all(len(copies) == 1 for copies in predicted.values())


def test_a_record_that_hangs_for_ever_is_isolated_too(cluster: Cluster, tmp_path: Path) -> None:
    """The watchdog ends the worker; in the end the child has as long as a batch, and no longer."""
    testbed = Testbed(hostile, tmp_path, cluster, NO_REDIS)
    texts = ["thanks"] * 20
    texts[10] = "score hang"
    send(testbed, texts)
    with testbed.worker(crash_isolation_starts=2, work_deadline_seconds=2.0) as worker:
        assert restarted_until_drained(testbed, worker, most=2) == 2
    (letter,) = testbed.dead_letters()
    assert letter.header("dead-letter.reason") == "process-hang"
    assert letter.header("dead-letter.stage") == "score"
    assert len(by_source(testbed.predictions())) == 19


def test_several_such_records_cost_no_more_starts_than_one(
    cluster: Cluster, tmp_path: Path
) -> None:
    """They seldom come alone: behind the first one, records are tried for a while."""
    testbed = Testbed(hostile, tmp_path, cluster, NO_REDIS)
    texts = ["thanks"] * 60
    texts[20] = texts[33] = texts[50] = "feature abort"
    send(testbed, texts)
    with testbed.worker(crash_isolation_starts=1, batch_max_records=50) as worker:
        assert restarted_until_drained(testbed, worker, most=1) == 1
    assert len(testbed.dead_letters()) == 3
    assert len(by_source(testbed.predictions())) == 57


def test_an_orderly_stop_is_no_crash(cluster: Cluster, tmp_path: Path) -> None:
    """However often a worker is stopped before anything comes, its starts are not held against it."""
    testbed = Testbed(hostile, tmp_path, cluster, NO_REDIS)
    send(testbed, ["thanks"] * 10)
    with testbed.worker(crash_isolation_starts=1) as worker:
        worker.ready()
        worker.until("the backlog is drained", testbed.drained)
        for _ in range(2):
            assert worker.stop() == 0, worker.tail()
            worker.start().ready()
        worker.until("it has seen that there is nothing to read", lambda: not counted(testbed))
        worker.kill()  # with nothing to read, this is no sign either
        worker.start().ready()
        send(testbed, ["thanks"])
        worker.until("all is done", testbed.drained)
        assert "got nowhere" not in worker.log


@pytest.mark.parametrize(("letter_is_there", "ends_again"), [(True, 0), (False, 2)])
def test_a_state_is_rebuilt_past_such_a_record(
    cluster: Cluster,
    redis: Redis,
    redis_url: str,
    tmp_path: Path,
    letter_is_there: bool,
    ends_again: int,
) -> None:
    """Its letter says that it changed no state, so it is left out when the state is lost. Where retention
    took the letter it is read again, and must not end the worker for ever."""
    testbed = Testbed(odd_meters, tmp_path, cluster, redis_url)
    sent = testbed.meters(300)
    sent[100].value = (sent[100].value or b"").replace(b'"meter": "m', b'"meter": "abort", "x": "m')
    cluster.produce(sent)
    with testbed.worker(crash_isolation_starts=2) as worker:
        assert restarted_until_drained(testbed, worker, most=2) == 2
        assert worker.stop() == 0, worker.tail()
        # The last commit may have come before the end of the log was seen: then it still counts the
        # starts, and records would be tried at once. A start with nothing to read settles it.
        worker.start().ready()
        worker.until("its starts are forgotten", lambda: not counted(testbed))
        assert worker.stop() == 0, worker.tail()
        assert len(testbed.dead_letters()) == 1
        if not letter_is_there:
            cluster.delete_topic(testbed.usecase.dead_letters_topic)
            cluster.create_topic(testbed.usecase.dead_letters_topic)
        redis.flushall()
        worker.start()
        deadline = time.monotonic() + 120.0
        ends = 0
        while "the state is rebuilt: " not in worker.log:
            assert time.monotonic() < deadline, worker.tail()
            if not worker.is_running:
                ends += 1
                worker.start()
            time.sleep(0.1)
        assert ends == ends_again, worker.tail()
        assert worker.stop() == 0, worker.tail()
    assert len(by_source(testbed.predictions())) == sum(
        s.topic == testbed.topics[1] for s in sent
    ) - (sent[100].topic == testbed.topics[1])
