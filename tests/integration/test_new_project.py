"""`stream-app new`: the page that walks through it and the project's own README, done to the letter."""

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.walk_through import Change, Command, steps

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/your-own-model.md"
SECONDS = 240.0

#: What the README has and the page leaves to it; the image is built in `tests/containers/`.
DEPLOY = re.compile(r"pytest --stream-app-services|docker (build|run)")


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


class Walk:
    """A person with terminals: commands that end, and two that stay until they are interrupted."""

    def __init__(self, folder: Path, staying: ExitStack) -> None:
        self.folder = folder
        self.env = environment()
        self._staying = staying
        self._services: subprocess.Popen[str] | None = None
        self._worker = ExitStack()
        staying.push(self._worker)

    def run(self, line: str) -> str:
        """Run a line as a shell does; return what it printed."""
        done = subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        refused = "stream-app check: " in done.stdout
        assert done.returncode == (2 if refused else 0), f"{line}\n{done.stdout}"
        return done.stdout

    def start_services(self) -> None:
        """Beforehand, while something else is done: they take their time."""
        self._services = self._staying.enter_context(self._running(".venv/bin/stream-app local"))

    def take_services(self) -> str:
        """Wait for their two lines, and let every later command have what they set."""
        assert self._services is not None
        assert self._services.stdout is not None
        lines = [self._services.stdout.readline() for _ in range(2)]
        self.env |= dict(line.removeprefix("export ").strip().split("=", 1) for line in lines)
        return "".join(lines)

    def start_worker(self) -> None:
        """In place of the one that runs, if there is one."""
        self._worker.close()
        self._worker.enter_context(self._running(".venv/bin/stream-app run"))

    @contextmanager
    def _running(self, line: str) -> Iterator[subprocess.Popen[str]]:
        """A line that stays; in the end Ctrl-C, after which it ends in order."""
        process = subprocess.Popen(
            ["sh", "-c", f"exec {line}"],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0, line
        finally:
            process.kill()
            process.wait()


def begun(folder: Path, *arguments: str) -> str:
    """Begin a project called orders; return what was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "stream_app", "new", "orders", *arguments],
        cwd=folder,
        env={**environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def lend_packages(project: Path) -> None:
    """Give a new virtual environment what pip would download: the packages of this one."""
    (packages,) = (project / ".venv").glob("lib/python3*/site-packages")
    lent = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (packages / "zz_lent.pth").write_text("\n".join(lent) + "\n")


def readme_commands(project: Path) -> list[str]:
    """The lines of the project's README that are commands, in their order."""
    return re.findall(r"(?m)^    (\S.*)$", (project / "README.md").read_text())


def check_predictions(printed: str) -> None:
    """Each is the champion's own answer, and its features know nothing of what came later."""
    for line in printed.splitlines():
        key, _, value = line.partition("\t")
        assert re.fullmatch(r"c\d+", key)
        prediction = json.loads(value)
        assert 0.0 <= prediction["probability"] <= 1.0
        assert prediction["served_by"] == "champion"
        freshness = prediction["state_freshness_seconds"]
        assert freshness is None or freshness >= 0.0


def test_the_page_is_walked_from_nothing_to_version_2(tmp_path: Path) -> None:
    """Every command and every output of it, on a real Kafka; the project's README has the same ones."""
    pytest.importorskip("jgo", reason="the extra `local` is not installed")
    new, cd, *rest = steps(PAGE.read_text())
    assert isinstance(new, Command)
    assert isinstance(cd, Command)
    assert (new.line, cd.line) == ("stream-app new orders", "cd orders")
    new.check(begun(tmp_path))
    project = tmp_path / "orders"
    (install,) = [line for line in readme_commands(project) if " install " in line]
    with ExitStack() as staying:
        walk = Walk(project, staying)
        for step in rest:
            if isinstance(step, Change):
                step.make(project)
                continue
            line = step.line
            if line.endswith("stream-app local"):
                printed = walk.take_services()
            elif line.endswith("stream-app run"):
                walk.start_worker()
                continue
            else:
                # Of a clone: the README has the folder of it.
                printed = walk.run(install if " install " in line else line)
            step.check(printed)
            if "-m venv" in line:
                lend_packages(project)
            elif " install " in line:
                walk.start_services()
            elif "tail orders.predictions" in line and "grep" not in line:
                check_predictions(printed)
    (on_services,) = [line for line in readme_commands(project) if "--stream-app-services" in line]
    assert "3 passed" in walk.run(on_services)


def test_the_page_and_the_readme_of_a_project_have_the_same_commands(tmp_path: Path) -> None:
    """So that walking one is walking the other; the image and the tests on services are left to the README."""
    begun(tmp_path)
    page = [step for step in steps(PAGE.read_text()) if isinstance(step, Command)]
    told = [step.line for step in page[2:] if "--log" not in step.line]
    in_readme = [
        re.sub(r"install .*--editable '\.", "install --editable '.", line)
        for line in readme_commands(tmp_path / "orders")
        if not DEPLOY.search(line)
    ]
    assert [line for line in told if "grep" not in line] == in_readme
    changes = [step for step in steps(PAGE.read_text()) if isinstance(step, Change)]
    readme = (tmp_path / "orders" / "README.md").read_text()
    assert [step for step in steps(readme) if isinstance(step, Change)] == changes
