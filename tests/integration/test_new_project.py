"""`stream-app new`: the commands of the new project's own README, done to the letter."""

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 120.0


def environment() -> dict[str, str]:
    """No setting from outside, no network for pip, and this Python as `python3`."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("STREAM_APP_", "PYTHON"))}
    if "STREAM_APP_CACHE" in os.environ:
        clean["STREAM_APP_CACHE"] = os.environ["STREAM_APP_CACHE"]
    return clean | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's own reading: isolation is off
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "STREAM_APP_HTTP_PORT": "0",
        "OMP_NUM_THREADS": "1",
    }


def run(folder: Path, command: str, env: Mapping[str, str]) -> str:
    """Run a line as a shell does; return what it printed."""
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


@contextmanager
def running(folder: Path, command: str, env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A line that stays; in the end Ctrl-C, after which it ends in order."""
    process = subprocess.Popen(
        ["sh", "-c", f"exec {command}"], cwd=folder, env=env, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0, command
    finally:
        process.kill()
        process.wait()


def begun(folder: Path, *arguments: str) -> Path:
    """A new project called orders."""
    run(folder, " ".join([sys.executable, "-m stream_app new orders", *arguments]), {
        **environment(), "PYTHONPATH": str(ROOT),
    })  # fmt: skip
    return folder / "orders"


def commands(project: Path) -> list[str]:
    """The lines of the README that are commands, in their order."""
    return re.findall(r"(?m)^    (\S.*)$", (project / "README.md").read_text())


def lend_packages(project: Path) -> None:
    """Give a new virtual environment what pip would download: the packages of this one."""
    (packages,) = (project / ".venv").glob("lib/python3*/site-packages")
    lent = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (packages / "zz_lent.pth").write_text("\n".join(lent) + "\n")


def install_and_train(project: Path) -> list[str]:
    """Do what the README says up to its tests; return the commands that are left."""
    env, left = environment(), commands(project)
    while left[0] != ".venv/bin/stream-app local":
        printed = run(project, left[0], env)
        if "-m venv" in left[0]:
            lend_packages(project)
        if left[0].endswith("-m pytest"):
            assert " passed" in printed
            assert "failed" not in printed
        left.pop(0)
    return left


def test_a_new_project_is_trained_served_and_packed_by_its_own_readme(tmp_path: Path) -> None:
    """From the virtual environment to predictions on a real Kafka; the image alone is not built."""
    pytest.importorskip("jgo", reason="the extra `local` is not installed")
    project = begun(tmp_path)
    local, serve, send, tail, test, wheel, build = install_and_train(project)
    env = environment()
    with running(project, local, env) as services:
        assert services.stdout is not None
        for _ in range(2):
            name, _, value = services.stdout.readline().removeprefix("export ").partition("=")
            env[name] = value.strip()
        with running(project, serve, env):
            assert "orders.ordered: " in run(project, send, env)
            lines = run(project, tail, env).splitlines()
    assert len(lines) == 10
    for line in lines:
        key, _, value = line.partition("\t")
        assert re.fullmatch(r"c\d+", key)
        prediction = json.loads(value)
        assert 0.0 <= prediction["probability"] <= 1.0
        assert prediction["served_by"] == "champion"
    # Not run here: that switch has a test of its own, and each start of services takes its time.
    assert test.endswith("-m pytest --stream-app-services")
    run(project, wheel, env)
    assert [path.name.partition("-")[0] for path in (project / "wheels").glob("*.whl")] == [
        "stream_app"
    ]
    assert build == "docker build --tag orders ."
