"""`stream-app local`: real services for whoever wants to try things."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis as redis_client
from confluent_kafka.admin import AdminClient

from tests.unit.test_cli import USECASE


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A directory with a use case, and a place for temporary directories that can be looked at."""
    pytest.importorskip("jgo", reason="the extra `local` is not installed")
    (tmp_path / "tiny_usecase.py").write_text(USECASE)
    (tmp_path / "tmp").mkdir()
    clean = {k: v for k, v in os.environ.items() if not k.startswith("STREAM_APP_")}
    if "STREAM_APP_CACHE" in os.environ:
        clean["STREAM_APP_CACHE"] = os.environ["STREAM_APP_CACHE"]
    return {**clean, "TMPDIR": str(tmp_path / "tmp")}


def start(tmp_path: Path, environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start it in a directory of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "stream_app", "local", "tiny_usecase:usecase", *arguments],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        # As a shell starts a background job.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_services_answer_at_the_printed_addresses_until_the_signal(
    tmp_path: Path, environment: dict[str, str], number: signal.Signals
) -> None:
    """With the topics of the use case; afterwards no process and no directory is left."""
    process = start(tmp_path, environment, "--json")
    assert process.stdout is not None
    try:
        addresses = json.loads(process.stdout.readline())
        topics = AdminClient({"bootstrap.servers": addresses["kafka"]}).list_topics(timeout=10)
        partitions = {name: len(topic.partitions) for name, topic in topics.topics.items()}
        assert partitions["tiny.events"] == 3
        assert partitions["tiny.dead-letters"] == 2
        with redis_client.Redis.from_url(addresses["redis"]) as client:
            assert client.ping()
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
    assert list((tmp_path / "tmp").iterdir()) == []
    with pytest.raises(redis_client.ConnectionError):
        redis_client.Redis.from_url(addresses["redis"]).ping()


def test_the_printed_lines_are_settings_of_the_worker(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    """A shell takes them as they are, and the worker then points at these services."""
    process = start(tmp_path, environment)
    assert process.stdout is not None
    try:
        exports = process.stdout.readline() + process.stdout.readline()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    shown = subprocess.run(
        ["sh", "-c", f'{exports}"{sys.executable}" -m stream_app config --json'],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    config = json.loads(shown.stdout)
    for name in ("bootstrap_servers", "redis_url"):
        assert config[name]["source"] == f"environment variable STREAM_APP_{name.upper()}"
        assert "127.0.0.1:" in config[name]["value"]
