"""The image of a project of `stream-app new`, by the commands of its own README."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.conftest import can_be_had, docker

ROOT = Path(__file__).parents[2]
IMAGE = "stream-app-test-orders"
SECONDS = 300.0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image's name: the project is begun, trained and built."""
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no Docker engine runs here")
    place = tmp_path_factory.mktemp("new")
    run(place, sys.executable, "-m", "stream_app", "new", "orders")
    folder = place / "orders"
    (base,) = re.findall(r"(?m)^FROM (\S+)$", (folder / "Dockerfile").read_text())
    if not can_be_had(base):
        pytest.skip(f"no image {base}")
    run(folder, sys.executable, "-m", "orders.training.generate", "log.jsonl")
    run(folder, sys.executable, "-m", "orders.training.train", "log.jsonl")
    readme = re.findall(r"(?m)^    (\S.*)$", (folder / "README.md").read_text())
    (wheel,) = [line for line in readme if "pip wheel" in line]
    run(folder, sys.executable, "-m", "venv", ".venv")
    run(folder, "sh", "-c", wheel)
    (build,) = [line for line in readme if line.startswith("docker build")]
    run(folder, "sh", "-c", build.replace("--tag orders", f"--tag {IMAGE}"))
    try:
        yield IMAGE
    finally:
        docker("image", "rm", "--force", IMAGE)


def run(folder: Path, *command: str) -> str:
    """What a command prints; raises where it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout


def test_every_check_of_a_start_passes_in_it(project: str) -> None:
    """With the model that was trained outside, on its own Python and libraries."""
    said = docker("run", "--rm", project, "stream-app", "check")
    assert "ok  artifacts/orders/1: orders 1, 9 columns" in said


def test_it_runs_as_a_user_without_rights(project: str) -> None:
    """And holds no training data."""
    assert docker("run", "--rm", project, "id", "--user", "--name") == "worker"
    assert "log.jsonl" not in docker("run", "--rm", project, "ls", "/app")


def test_it_ends_at_once_when_it_is_told_to(project: str) -> None:
    """Signals reach the worker, which waits for Kafka here."""
    container = docker("run", "--detach", "--env=STREAM_APP_BOOTSTRAP_SERVERS=nowhere:1", project)
    try:
        deadline = time.monotonic() + 30
        while "http_server" not in run(ROOT, "docker", "logs", container):
            assert time.monotonic() < deadline, run(ROOT, "docker", "logs", container)
            time.sleep(0.1)
        begin = time.monotonic()
        docker("kill", "--signal=TERM", container)
        assert docker("wait", container) == "0"
        assert time.monotonic() - begin < 5
    finally:
        docker("rm", "--force", container)
