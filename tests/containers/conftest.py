"""The compose file, brought up once for all of these tests. `make test-containers` runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = ["docker", "compose", "-p", "stream-app-test", "-f", "docker-compose.yml"]
COMPOSE += ["-f", "tests/containers/ports.yml"]
BUILDING = 900.0
"""Seconds: everything is downloaded and compiled the first time."""


def docker(*arguments: str, timeout: float = 60.0) -> str:
    """Return what a command of docker's prints; raises where it fails."""
    return run(["docker", *arguments], timeout)


def run(command: list[str], timeout: float = 60.0) -> str:
    """Return what a command prints, its complaints where it fails in the error."""
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


class Stack(NamedTuple):
    """What is up."""

    services: set[str]
    seconds: float
    """How long it took until all were healthy."""

    def compose(self, *arguments: str, timeout: float = 60.0) -> str:
        """Return what `docker compose` prints."""
        return run([*COMPOSE, *arguments], timeout)

    def container(self, service: str) -> str:
        """Return the id of one container of a service."""
        return self.compose("ps", "--quiet", service).split()[0]

    def get(self, service: str, port: int, path: str) -> Any:
        """Return the JSON that a service answers with."""
        address = self.compose("port", service, str(port))
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return json.load(answer)

    def query(self, expression: str) -> list[Any]:
        """Return the series that Prometheus has of an expression now."""
        path = f"/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        found: list[Any] = self.get("prometheus", 9090, path)["data"]["result"]
        return found


def can_be_had(image: str) -> bool:
    """Whether an image is there or can be pulled."""
    for command in (["image", "inspect", image], ["pull", "--quiet", image]):
        if subprocess.run(["docker", *command], capture_output=True, check=False).returncode == 0:
            return True
    return False


@pytest.fixture(scope="session")
def image() -> str:
    """The name of the worker's image, as today's source makes it."""
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no Docker engine runs here")
    (pinned,) = re.findall(
        r"(?m)^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "deploy" / "Dockerfile").read_text()
    )
    base = os.environ.get("PYTHON_IMAGE", pinned)
    if not can_be_had(base):
        pytest.skip(f"no image {base}; the variable PYTHON_IMAGE names another")
    docker(
        "build",
        "--quiet",
        "--file=deploy/Dockerfile",
        f"--build-arg=PYTHON_IMAGE={base}",
        "--tag=stream-app",
        ".",
        timeout=BUILDING,
    )
    return "stream-app"


@pytest.fixture(scope="session")
def stack(image: str) -> Iterator[Stack]:
    """The services of docker-compose.yml whose images can be had, all of them healthy."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    up = {
        name
        for name, service in services.items()
        if service["image"] == image or can_be_had(service["image"])
    }
    if needed := {"kafka", "redis", "prometheus"} - up:
        pytest.skip(f"no image for {', '.join(sorted(needed))}")
    begin = os.times().elapsed
    try:
        run([*COMPOSE, "up", "--build", "--wait", "--quiet-pull", *sorted(up)], timeout=BUILDING)
        yield Stack(up, os.times().elapsed - begin)
    finally:
        run([*COMPOSE, "down", "--volumes", "--timeout", "20"], timeout=120)
