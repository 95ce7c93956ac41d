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

from tests.containers.conftest import BUILDING, docker

ROOT = Path(__file__).parents[2]
IMAGE = "stream-app-test-orders"
SECONDS = 300.0

pytestmark = pytest.mark.timeout(2 * BUILDING)


@pytest.fixture(scope="module")
def project(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image's name: the project is begun, trained and built upon the worker's image."""
    place = tmp_path_factory.mktemp("new")
    run(place, sys.executable, "-m", "stream_app", "new", "orders")
    folder = place / "orders"
    run(folder, sys.executable, "-m", "orders.training.generate", "log.jsonl")
    run(folder, sys.executable, "-m", "orders.training.train", "log.jsonl")
    readme = re.findall(r"(?m)^    (docker build .*)$", (folder / "README.md").read_text())
    base, own = readme
    assert base.endswith(f"--tag {image} {ROOT}")  # which is built
    run(folder, "sh", "-c", own.replace("--tag orders", f"--tag {IMAGE}"))
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
    said = docker("run", "--rm", "--read-only", "--tmpfs=/tmp", project, "check")
    assert "ok  artifacts/orders/1: orders 1, 9 columns" in said


def test_it_runs_as_a_user_without_rights(project: str) -> None:
    """And holds no training data."""
    look = ["run", "--rm", "--entrypoint=bash", project, "-c"]
    assert docker(*look, "id --user --name") == "worker"
    assert "log.jsonl" not in docker(*look, "ls /app")


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
