"""The lag of a group as it is told from outside, whatever its members do."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from stream_app.config.settings import Settings
from stream_app.kafka.brokers import open_brokers
from stream_app.lag.group import Group
from stream_app.lag.verdict import LOOKS, Verdict
from stream_app.lag.waiting_records import WaitingRecords
from stream_app.lag.watch import PartitionLag, Watch
from stream_app.local.ports import free_ports
from stream_app.records.places import PartitionId
from tests.integration.testbed import Testbed
from tests.integration.worker import eventually


@contextmanager
def watch(bootstrap: str, group: str) -> Iterator[Watch]:
    """What the command looks with."""
    settings = Settings(bootstrap_servers=bootstrap)
    with ExitStack() as stack:
        brokers = stack.enter_context(closing(open_brokers(settings, group, settled=False)))
        reader = stack.enter_context(closing(brokers.log_reader()))
        yield Watch(Group(brokers, group), WaitingRecords(reader))


def total(lags: list[PartitionLag]) -> tuple[int, bool]:
    """Records that wait in all partitions, and whether they were counted."""
    return sum(lag.waiting.records for lag in lags), all(lag.waiting.is_exact for lag in lags)


def run(testbed: Testbed, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as a person gives it."""
    environment = {"STREAM_APP_BOOTSTRAP_SERVERS": testbed.cluster.bootstrap, "PATH": "/usr/bin"}
    command = [sys.executable, "-m", "stream_app", "lag", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_a_member_that_is_frozen_stalls_and_its_lag_grows(tickets: Testbed) -> None:
    """While it runs nothing waits; frozen, its records are counted, and they grow older."""
    group = tickets.usecase.name
    with tickets.worker() as worker, watch(tickets.cluster.bootstrap, group) as outside:
        tickets.cluster.produce(tickets.tickets(50))
        worker.until("all is done", tickets.drained)
        lags = outside.look().lags
        assert total(lags) == (0, True)
        assert {lag.verdict for lag in lags} == {Verdict.OK}
        assert [lag.seconds(time.time()) for lag in lags] == [0.0, 0.0]

        worker.pause()
        begun = time.time()
        tickets.cluster.produce(tickets.tickets(40))
        for _ in range(2 * LOOKS):
            lags = outside.look().lags
        assert total(lags) == (40, True)
        behind = [lag for lag in lags if lag.waiting.records]
        assert {lag.verdict for lag in behind} == {Verdict.STALL}
        assert all(lag.standing.member is not None for lag in behind)
        oldest = max(lag.seconds(time.time()) or 0.0 for lag in behind)
        # The first of forty events is half a second apart from the next: see `tickets`.
        assert 19.0 < oldest < 21.0 + time.time() - begun
        later = time.time() + 60.0
        assert max(lag.seconds(later) or 0.0 for lag in behind) > 60.0 + 19.0

        worker.resume()
        eventually("it catches up", lambda: total(outside.look().lags) == (0, True))


def test_nobody_to_take_records_is_a_stop(tickets: Testbed) -> None:
    """Killed, it is a member until its session ends; then its partitions are held by nobody."""
    group = tickets.usecase.name
    with tickets.worker() as worker:
        tickets.cluster.produce(tickets.tickets(50))
        worker.until("all is done", tickets.drained)
        worker.kill()
    tickets.cluster.produce(tickets.tickets(7))
    with watch(tickets.cluster.bootstrap, group) as outside:

        def stopped() -> bool:
            behind = [lag for lag in outside.look().lags if lag.waiting.records]
            return {lag.verdict for lag in behind} == {Verdict.STOP}

        eventually("the brokers let it go, and it stays so", stopped)
        assert total(outside.known.lags) == (7, True)
        assert all(lag.standing.member is None for lag in outside.known.lags)


def test_markers_of_transactions_are_no_work(tickets: Testbed) -> None:
    """Twenty records of twenty transactions take forty offsets; one that is not decided is not there."""
    group, topic = tickets.usecase.name, tickets.topics[0]
    own = {"bootstrap.servers": tickets.cluster.bootstrap}
    producer = Producer({**own, "transactional.id": group})
    producer.init_transactions(30)
    sent = [each for each in tickets.tickets(40) if each.key]
    for each in sent[:20]:
        producer.begin_transaction()
        producer.produce(topic, each.value, each.key, partition=0)
        producer.commit_transaction(30)
    producer.begin_transaction()
    producer.produce(topic, sent[20].value, sent[20].key, partition=0)
    producer.flush(30)
    with closing(Consumer({**own, "group.id": group})) as consumer:
        consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    with watch(tickets.cluster.bootstrap, group) as outside:
        found = outside.look().lags
        assert total(found) == (20, True)
        first = next(lag for lag in found if lag.partition == PartitionId(topic, 0))
        assert first.standing.end == 40
        producer.abort_transaction(30)
        with tickets.worker() as worker:
            worker.until("all is done", lambda: total(outside.look().lags) == (0, True))
            assert {lag.verdict for lag in outside.known.lags} == {Verdict.OK}
            worker.until(
                "its own figure says so as well",
                lambda: worker.metric("stream_app_consumer_lag_records") == 0,
                10.0,
            )
            assert worker.stop() == 0


def test_much_that_waits_is_estimated_and_says_so(tickets: Testbed) -> None:
    """Two records a marker: two thirds of what was not read are records."""
    group, topic = tickets.usecase.name, tickets.topics[0]
    own = {"bootstrap.servers": tickets.cluster.bootstrap}
    producer = Producer({**own, "transactional.id": group, "linger.ms": 0})
    producer.init_transactions(30)
    for _ in range(400):
        producer.begin_transaction()
        producer.produce(topic, b"{}", partition=0)
        producer.produce(topic, b"{}", partition=0)
        producer.commit_transaction(30)
    with closing(Consumer({**own, "group.id": group})) as consumer:
        consumer.commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    with watch(tickets.cluster.bootstrap, group) as outside:
        records, is_exact = total(outside.look().lags)
        assert not is_exact
        assert records == pytest.approx(800, abs=4)


def test_a_group_that_is_set_back_is_told(tickets: Testbed) -> None:
    """Its records are to be done again, and a partition without an offset has all of its own to do."""
    group, topic = tickets.usecase.name, tickets.topics[0]
    tickets.cluster.produce(tickets.tickets(50))
    own = {"bootstrap.servers": tickets.cluster.bootstrap, "group.id": group}
    with closing(Consumer(own)) as consumer, watch(own["bootstrap.servers"], group) as outside:
        for offset in (5, 2):
            consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
            lags = outside.look().lags
        first = next(lag for lag in lags if lag.partition.number == 0)
        assert first.verdict is Verdict.REWIND
        (other,) = [lag for lag in lags if lag is not first]
        assert other.standing.committed is None
        assert total(lags) == (50 - 2, True)


def test_the_command_tells_it_as_a_table_as_json_and_to_prometheus(tickets: Testbed) -> None:
    """And names a group that nobody knows."""
    group, topic = tickets.usecase.name, tickets.topics[0]
    tickets.cluster.produce(tickets.tickets(50))
    own = {"bootstrap.servers": tickets.cluster.bootstrap, "group.id": group}
    with closing(Consumer(own)) as consumer:
        consumer.commit(offsets=[TopicPartition(topic, 0, 5)], asynchronous=False)

    table = run(tickets, group)
    assert (table.returncode, table.stderr) == (0, "")
    assert table.stdout.startswith(f"group {group}: 45 records, ")
    told = json.loads(run(tickets, group, "--json").stdout)
    assert told["group"] == group
    assert sum(each["records"] for each in told["partitions"]) == 45
    assert {each["verdict"] for each in told["partitions"]} == {"stop"}

    unknown = run(tickets, "nobody-knows-it")
    assert unknown.returncode == 2
    assert "group nobody-knows-it is unknown" in unknown.stderr
    assert run(tickets, group, "--topic", "no-such-topic").returncode == 2

    (port,) = free_ports(1)
    environment = {"STREAM_APP_BOOTSTRAP_SERVERS": tickets.cluster.bootstrap}
    serving = [sys.executable, "-m", "stream_app", "lag", group, "--serve", str(port)]
    with subprocess.Popen(serving, env=environment, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            address = server.stderr.readline().strip()

            def scraped() -> str:
                with urllib.request.urlopen(address, timeout=10) as page:
                    return str(page.read().decode())

            eventually("the group is seen", lambda: "stream_app_group_members{" in scraped())
            metrics = scraped()
        finally:
            server.terminate()
    line = f'stream_app_group_lag_records{{group="{group}",partition="0",topic="{topic}"}}'
    assert line in metrics
    assert (
        f'stream_app_group_verdict{{group="{group}",partition="0",topic="{topic}",verdict='
        in metrics
    )
