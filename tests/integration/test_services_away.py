"""Commands where no Kafka answers."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from tests.integration.worker import ROOT

#: Nothing listens at port 1.
AWAY = {
    "STREAM_APP_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "STREAM_APP_REDIS_URL": "redis://127.0.0.1:1",
}
USECASE = "tests.usecases.fraud:usecase"
COMMANDS = {
    f"audit {USECASE}": 3,
    f"changes {USECASE}": 3,
    f"dlq stats {USECASE}": 3,
    "lag anybody": 3,
    f"resume {USECASE}": 3,
    f"state rebuild {USECASE}": 3,
    "tail anything": 3,
}


def launched(command: str) -> "subprocess.Popen[str]":
    """A command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "stream_app", *command.split()],
        cwd=ROOT,
        env={**os.environ, **AWAY},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.timeout(180)
def test_each_command_says_in_one_line_that_kafka_is_away() -> None:
    """With status 3, and none of the client library's own lines, of which there are hundreds."""
    processes = {command: launched(command) for command in COMMANDS}
    for command, process in processes.items():
        _, told = process.communicate()
        assert process.returncode == COMMANDS[command], (command, told)
        assert len(told.splitlines()) == 1, (command, told)
        assert "Kafka does not answer" in told, (command, told)


@pytest.mark.timeout(180)
def test_doctor_tells_it_as_a_finding() -> None:
    """Beside its other findings, and nothing else."""
    process = launched(f"doctor {USECASE}")
    found, told = process.communicate()
    assert process.returncode == 1, told
    assert "error    kafka: Kafka does not answer" in found
    assert told == ""


@pytest.mark.timeout(180)
def test_lag_as_a_service_waits_for_kafka_and_serves_meanwhile() -> None:
    """Its log, its page and its metrics say that nothing is known yet; SIGTERM ends it."""
    process = launched("lag anybody --serve 0")
    assert process.stderr is not None
    address = process.stderr.readline().strip()
    assert process.stderr.readline().endswith("/ for people\n")
    for _ in range(2):
        assert process.stderr.readline().startswith("waiting for Kafka, for ")
    with urllib.request.urlopen(address, timeout=10) as page:
        metrics = page.read().decode()
    assert 'stream_app_group_looked_seconds{group="anybody"}' in metrics
    assert "stream_app_group_lag_records{" not in metrics
    assert "stream_app_group_members{" not in metrics
    with urllib.request.urlopen(address.replace("/metrics", "/status.json"), timeout=10) as page:
        told = json.load(page)
    (problem,) = told["problems"]
    assert problem["sentence"].startswith("The brokers have not answered yet")
    assert "Connection refused" in problem["detail"]
    assert told["groups"][0]["looked_at"] is None
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == -signal.SIGTERM


@pytest.mark.timeout(60)
def test_lag_as_a_service_says_what_is_wrong_with_its_port_before_it_waits() -> None:
    """In one line that names its option, not a setting that it does not have."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        used = taken.getsockname()[1]
        for given, told in [
            (str(used), f"--serve: cannot listen on 127.0.0.1 port {used}"),
            ("0.0.0.0", "--serve: expected [HOST:]PORT, not 0.0.0.0"),
            ("70000", "--serve: expected [HOST:]PORT, not 70000"),
        ]:
            process = launched(f"lag anybody --serve {given}")
            _, said = process.communicate()
            assert (process.returncode, told in said) == (2, True), said


#: Aborted by librdkafka it would take the tests with it.
ASKS_AGAIN = """
import time
from stream_app.config.settings import Settings
from stream_app.errors import ServiceAwayError
from stream_app.kafka.brokers import open_brokers
from stream_app.local import LocalKafka

with LocalKafka() as kafka:
    brokers = open_brokers(Settings(bootstrap_servers=kafka.bootstrap), "g").within(2.0)

    def told():
        try:
            return brokers.holders("g") == {}
        except ServiceAwayError:
            return False

    deadline = time.monotonic() + 60.0
    while not told():
        assert time.monotonic() < deadline, "never told"
    kafka.kill()
    assert not told()
    kafka.start()
    deadline = time.monotonic() + 60.0
    while not told():
        assert time.monotonic() < deadline, "not told again"
"""


@pytest.mark.usefixtures("local_only")
@pytest.mark.timeout(240)
def test_who_asks_for_a_group_outlives_a_request_that_timed_out() -> None:
    """And is told again when the brokers are back: librdkafka is asked for a coordinator only where one answers."""
    run = subprocess.run(
        [sys.executable, "-c", ASKS_AGAIN], cwd=ROOT, capture_output=True, text=True, timeout=200
    )
    assert run.returncode == 0, run.stderr[-2_000:]
