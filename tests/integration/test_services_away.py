"""Commands where no Kafka answers."""

import os
import signal
import subprocess
import sys

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
def test_lag_as_a_service_waits_for_kafka() -> None:
    """It says what it waits for, and whoever watches it has one that lives; SIGTERM ends it."""
    process = launched("lag anybody --serve 0")
    assert process.stderr is not None
    for _ in range(2):
        assert process.stderr.readline().startswith("waiting for Kafka, for ")
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == -signal.SIGTERM
