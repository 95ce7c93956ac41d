"""`stream-app send` and `stream-app tail`: a log into topics, and a topic onto the terminal."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.integration.worker import Cluster
from tests.services import Kafka, TopicFactory

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(kafka: Kafka) -> dict[str, str]:
    """The broker is the only setting."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("STREAM_APP_")}
    return {**clean, "PYTHONPATH": str(ROOT), "STREAM_APP_BOOTSTRAP_SERVERS": kafka.bootstrap}


def call(
    folder: Path, environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "stream_app", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def tailing(
    folder: Path, environment: dict[str, str], *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    """`stream-app tail` as it goes on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "stream_app", "tail", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def put(
    kafka: Kafka,
    topic: str,
    value: bytes | None,
    key: bytes | None = None,
    headers: list[tuple[str, str | bytes | None]] | None = None,
) -> None:
    """Send a record."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    producer.produce(topic, value, key, headers=headers or [])
    assert producer.flush(30) == 0


def write(path: Path, records: list[dict[str, object]]) -> str:
    """Write a log; return its name."""
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path.name


def test_records_arrive_as_they_are_in_the_log(
    kafka: Kafka, topic_factory: TopicFactory, environment: dict[str, str], tmp_path: Path
) -> None:
    """Value, key, headers and timestamp, in their order; a tombstone too."""
    one, two = topic_factory("one"), topic_factory("two")
    log = write(
        tmp_path / "log.jsonl",
        [
            {"topic": one, "value": {"a": 1}, "key": "k", "timestamp": "2025-03-01T12:00:00.250Z"},
            {
                "topic": two,
                "value": None,
                "key_base64": "/w==",
                "headers": [["h", "1"], ["h", "2"]],
            },
            {"topic": one, "value_base64": "AAE="},
        ],
    )
    done = call(tmp_path, environment, "send", log)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted([f"{one}: 2 records", f"{two}: 1 records"])
    with closing(Cluster(kafka.bootstrap)) as cluster:
        (first, last), (tombstone,) = cluster.read(one), cluster.read(two)
    assert (first.value, first.key, first.timestamp) == (b'{"a":1}', b"k", 1_740_830_400.25)
    assert last.value == b"\x00\x01"
    assert (tombstone.value, tombstone.key) == (None, b"\xff")
    assert tombstone.headers == [("h", b"1"), ("h", b"2")]


def test_the_last_records_alone_can_be_sent(
    topic_factory: TopicFactory, environment: dict[str, str], tmp_path: Path
) -> None:
    """In their order."""
    topic = topic_factory()
    log = write(tmp_path / "log.jsonl", [{"topic": topic, "value": n} for n in range(50)])
    assert call(tmp_path, environment, "send", log, "--last", "3").returncode == 0
    shown = call(tmp_path, environment, "tail", topic, "--from-beginning", "--count", "3")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout == "-\t47\n-\t48\n-\t49\n"


def test_tail_goes_on_until_it_is_interrupted(
    kafka: Kafka, topic_factory: TopicFactory, environment: dict[str, str], tmp_path: Path
) -> None:
    """With what is there, then with what comes; Ctrl-C is no failure."""
    topic = topic_factory()
    put(kafka, topic, b"before", b"k1")
    with tailing(tmp_path, environment, topic, "--from-beginning") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "k1\tbefore\n"
        put(kafka, topic, b"after")
        assert process.stdout.readline() == "-\tafter\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert (process.returncode, said) == (0, "")


def test_tail_begins_at_the_end(
    kafka: Kafka, topic_factory: TopicFactory, environment: dict[str, str], tmp_path: Path
) -> None:
    """What was there is not shown."""
    topic = topic_factory()
    put(kafka, topic, b"before")
    with tailing(tmp_path, environment, topic, "--count", "1") as process:
        while process.poll() is None:
            put(kafka, topic, b"after")
        shown, _ = process.communicate()
    assert (process.returncode, shown) == (0, "-\tafter\n")


def test_a_record_is_one_line_whatever_it_holds(
    kafka: Kafka, topic_factory: TopicFactory, environment: dict[str, str], tmp_path: Path
) -> None:
    """No byte of it reaches the terminal as a command, however long it is."""
    topic = topic_factory()
    put(kafka, topic, "\x1b[2J\ná".encode() + b"\xff" + b"x" * 500, b"")
    put(kafka, topic, None, b"gone")
    shown = call(tmp_path, environment, "tail", topic, "--from-beginning", "--count", "2")
    assert shown.stdout == f"\t\\x1b[2J\\ná\\xff{'x' * 500}\ngone\t-\n"


def test_a_dead_letter_says_below_it_why_it_is_one(
    kafka: Kafka, topic_factory: TopicFactory, environment: dict[str, str], tmp_path: Path
) -> None:
    """Its reason is in headers, which nobody sees otherwise; all of them by the switch."""
    topic = topic_factory()
    why: list[tuple[str, str | bytes | None]] = [
        ("trace", b"\xff"), ("empty", None), ("dead-letter.topic", "orders"),
        ("dead-letter.topic-id", "AAAAAAAAAAAAAAAAAAAAAA"), ("dead-letter.partition", "3"),
        ("dead-letter.offset", "12"), ("dead-letter.stage", "decode"),
        ("dead-letter.reason", "missing-field"), ("dead-letter.field", "price"),
        ("dead-letter.message", "field price: Field required"),
    ]  # fmt: skip
    put(kafka, topic, b"{}", b"k", why)
    put(kafka, topic, b"plain", b"k", [("dead-letter.reason", "forged")])
    arguments = ("tail", topic, "--from-beginning", "--count", "2")
    shown = call(tmp_path, environment, *arguments)
    reason = (
        "    dead letter of orders[3] offset 12: missing-field in decode: "
        "field price: Field required"
    )
    assert shown.stdout.splitlines() == ["k\t{}", reason, "k\tplain"]
    lines = call(tmp_path, environment, *arguments, "--headers").stdout.splitlines()
    assert lines[1:3] == ["    trace: \\xff", "    empty: -"]
    assert "    dead-letter.field: price" in lines
    assert lines[-2:] == ["k\tplain", "    dead-letter.reason: forged"]


def test_a_log_can_be_sent_faster_than_its_order_allows(
    topic_factory: TopicFactory, environment: dict[str, str], tmp_path: Path
) -> None:
    """Every record is acknowledged all the same."""
    topic = topic_factory(partitions=3)
    log = write(
        tmp_path / "log.jsonl", [{"topic": topic, "value": n, "key": str(n)} for n in range(500)]
    )
    for switches in ((), ("--at-once",)):
        done = call(tmp_path, environment, "send", log, *switches)
        assert (done.returncode, done.stdout) == (0, f"{topic}: 500 records\n"), done.stderr


@pytest.mark.parametrize("command", ["send", "tail"])
def test_a_topic_that_is_missing_is_named_in_one_line(
    environment: dict[str, str], tmp_path: Path, command: str
) -> None:
    """With status 2, and before anything is sent."""
    log = write(tmp_path / "log.jsonl", [{"topic": "no.such-topic", "value": 1}])
    done = call(tmp_path, environment, command, log if command == "send" else "no.such-topic")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no.such-topic" in done.stderr
