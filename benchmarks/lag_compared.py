"""What three tools say of the same five groups at the same moment: ours, Kafka's own, and Burrow.

    python -m benchmarks.lag_compared --jars kafka-3.9.1/libs --burrow Burrow --zookeeper 127.0.0.1:2181

Five groups consume a topic of their own with two partitions, 100 records a second, written in transactions of
twenty: one keeps up, one falls behind, one is stuck (it holds its partitions and takes nothing), one is set
back, and one is gone. Broker and Kafka's own tool are those of the jars in a folder: the Burrow that Debian has
(1.2.1) does not understand Kafka 4. It does not start without a ZooKeeper either.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, Producer, TopicPartition

from stream_app.config.settings import Settings
from stream_app.kafka.brokers import open_brokers
from stream_app.lag.group import Group
from stream_app.lag.waiting_records import WaitingRecords
from stream_app.lag.watch import Watch
from stream_app.local import LocalKafka, create_topics
from stream_app.local.java import java_binary
from stream_app.local.ports import free_ports

_PARTITIONS: Final = 2
_RATE: Final = 100.0
_TRANSACTION: Final = 20
_SECONDS: Final = 45.0
_CONFIGURATION: Final = """
[logging]
level = "warn"
[zookeeper]
servers = ["{zookeeper}"]
timeout = 6
root-path = "/burrow"
[client-profile.here]
client-id = "burrow"
kafka-version = "2.0.0"
[cluster.here]
class-name = "kafka"
servers = ["{bootstrap}"]
client-profile = "here"
topic-refresh = 10
offset-refresh = 1
[consumer.here]
class-name = "kafka"
cluster = "here"
servers = ["{bootstrap}"]
client-profile = "here"
start-latest = false
offsets-topic = "__consumer_offsets"
[httpserver.here]
address = "127.0.0.1:{port}"
[storage.here]
class-name = "inmemory"
intervals = 10
min-distance = 0
[evaluator.here]
class-name = "caching"
expire-cache = 1
"""


def main() -> None:
    """Run the groups, ask the tools, and print a table of their answers."""
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.lag_compared", description=__doc__.splitlines()[0]
    )
    arguments.add_argument("--jars", metavar="FOLDER", type=Path, required=True)
    arguments.add_argument("--burrow", metavar="BINARY", required=True)
    arguments.add_argument("--zookeeper", metavar="HOST:PORT", required=True)
    options = arguments.parse_args()
    jars = os.pathsep.join(map(str, sorted(options.jars.glob("*.jar"))))
    with LocalKafka(jars=jars) as kafka, ExitStack() as stack:
        create_topics(kafka.bootstrap, dict.fromkeys(GROUPS, _PARTITIONS))
        stop = threading.Event()
        stack.callback(stop.set)
        threads = [threading.Thread(target=_produce, args=(kafka.bootstrap, stop))]
        threads += [
            threading.Thread(target=behave, args=(kafka.bootstrap, name, stop))
            for name, behave in GROUPS.items()
        ]
        for thread in threads:
            thread.start()
        watches = [stack.enter_context(_watching(kafka.bootstrap, name)) for name in GROUPS]
        for watch in watches:
            watch.look()
        # When the topic of the groups' offsets is there: asked for sooner, it would never come up.
        burrow = stack.enter_context(_Burrow(options, kafka.bootstrap))
        until = time.monotonic() + _SECONDS
        while time.monotonic() < until:
            for watch in watches:
                watch.look()
            time.sleep(1.0)
        # One after another, but for what starting a JVM takes.
        found = {
            "Burrow": {name: burrow.status(name) for name in GROUPS},
            "stream-app lag": {watch.group: _ours(watch) for watch in watches},
            "kafka-consumer-groups": {
                name: _kafkas(jars, kafka.bootstrap, name) for name in GROUPS
            },
        }
        stop.set()
        for thread in threads:
            thread.join()
    print("| group | " + " | ".join(found) + " |")
    print("|" + "---|" * (1 + len(found)))
    for name in GROUPS:
        print(f"| {name} | " + " | ".join(answers[name] for answers in found.values()) + " |")


# The groups.


def _consumer(bootstrap: str, group: str) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 6_000,
        }
    )


def _consume(bootstrap: str, group: str, stop: threading.Event, *, rate: float) -> None:
    """Take so many records a second at most, and commit each second."""
    with closing(_consumer(bootstrap, group)) as consumer:
        consumer.subscribe([group])
        begun, taken = time.monotonic(), 0
        while not stop.is_set():
            allowed = int((time.monotonic() - begun) * rate) - taken
            messages = consumer.consume(min(100, max(0, allowed)), 1.0) if allowed > 0 else []
            taken += len(messages)
            if messages:
                consumer.commit(asynchronous=False)
            stop.wait(0.5)


def _healthy(bootstrap: str, group: str, stop: threading.Event) -> None:
    _consume(bootstrap, group, stop, rate=1e6)


def _slow(bootstrap: str, group: str, stop: threading.Event) -> None:
    _consume(bootstrap, group, stop, rate=_RATE / 2)


def _stuck(bootstrap: str, group: str, stop: threading.Event) -> None:
    with closing(_consumer(bootstrap, group)) as consumer:
        consumer.subscribe([group])
        while not consumer.assignment() and not stop.is_set():
            consumer.consume(1, 0.5)
        consumer.commit(offsets=[TopicPartition(group, n, 1) for n in range(_PARTITIONS)])
        consumer.pause(consumer.assignment())
        while not stop.is_set():
            consumer.poll(0.5)


def _rewound(bootstrap: str, group: str, stop: threading.Event) -> None:
    with closing(_consumer(bootstrap, group)) as consumer:
        for second in range(int(_SECONDS) - 3):
            places = [TopicPartition(group, n, 1 + second) for n in range(_PARTITIONS)]
            consumer.commit(offsets=places, asynchronous=False)
            if stop.wait(1.0):
                return
        places = [TopicPartition(group, n, 1) for n in range(_PARTITIONS)]
        consumer.commit(offsets=places, asynchronous=False)


def _absent(bootstrap: str, group: str, _: threading.Event) -> None:
    over = threading.Event()
    timer = threading.Timer(10.0, over.set)
    timer.start()
    _consume(bootstrap, group, over, rate=1e6)
    timer.cancel()


GROUPS: Final[dict[str, Callable[[str, str, threading.Event], None]]] = {
    "healthy": _healthy,
    "slow": _slow,
    "stuck": _stuck,
    "rewound": _rewound,
    "absent": _absent,
}


def _produce(bootstrap: str, stop: threading.Event) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": "traffic"})
    producer.init_transactions(30)
    begun, sent = time.monotonic(), 0
    while not stop.is_set():
        producer.begin_transaction()
        for _ in range(_TRANSACTION):
            for topic in GROUPS:
                producer.produce(topic, b"x" * 50, partition=sent % _PARTITIONS)
            sent += 1
        producer.commit_transaction(30)
        stop.wait(max(0.0, begun + sent / _RATE - time.monotonic()))


# The tools.


@contextmanager
def _watching(bootstrap: str, group: str) -> Iterator[Watch]:
    settings = Settings(bootstrap_servers=bootstrap)
    with ExitStack() as stack:
        brokers = stack.enter_context(closing(open_brokers(settings, group, settled=False)))
        reader = stack.enter_context(closing(brokers.log_reader()))
        yield Watch(Group(brokers, group, [group]), WaitingRecords(reader))


def _ours(watch: Watch) -> str:
    lags = watch.look().lags
    now = time.time()
    records = sum(lag.waiting.records for lag in lags)
    seconds = max(lag.seconds(now) or 0.0 for lag in lags)
    verdicts = "/".join(sorted({lag.verdict.value for lag in lags}))
    return f"{records:,} records, {seconds:.1f} s, {verdicts}"


def _kafkas(jars: str, bootstrap: str, group: str) -> str:
    command = [
        str(java_binary()), "-cp", jars,
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        "--bootstrap-server", bootstrap, "--describe", "--group", group,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(f"{group} ")]
    lags = [int(row[5]) for row in rows if row[5].isdigit()]
    held = {row[6] != "-" for row in rows}
    what = "held" if held == {True} else "no active members"
    return f"{sum(lags):,} offsets, {what}" if lags else done.stdout + done.stderr


class _Burrow:
    def __init__(self, options: argparse.Namespace, bootstrap: str) -> None:
        (self._port,) = free_ports(1)
        self._binary = options.burrow
        self._zookeeper = options.zookeeper
        self._bootstrap = bootstrap

    def __enter__(self) -> _Burrow:
        self._folder = tempfile.TemporaryDirectory()
        text = _CONFIGURATION.format(
            bootstrap=self._bootstrap, port=self._port, zookeeper=self._zookeeper
        )
        (Path(self._folder.name) / "burrow.toml").write_text(text)
        self._process = subprocess.Popen(
            [self._binary, "--config-dir", self._folder.name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def status(self, group: str) -> str:
        url = f"http://127.0.0.1:{self._port}/v3/kafka/here/consumer/{group}/lag"
        try:
            with urllib.request.urlopen(url, timeout=10) as page:
                told = json.load(page)["status"]
        except OSError as error:
            return f"no answer ({error})"
        verdicts = {each["status"].lower() for each in told["partitions"]} or {
            told["status"].lower()
        }
        return f"{told['totallag']:,} offsets, {'/'.join(sorted(verdicts))}"


if __name__ == "__main__":
    main()
