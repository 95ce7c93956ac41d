"""The wheel: the library alone, whole, and a good neighbour to what its user has."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `pip wheel` builds it; no network is needed."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages with nothing but the wheel's in it."""
    folder = tmp_path_factory.mktemp("packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_wheel_holds_the_library_alone(wheel: Path) -> None:
    """No package of its own beside it that could collide with a user's."""
    with zipfile.ZipFile(wheel) as archive:
        top = {name.partition("/")[0] for name in archive.namelist()}
    assert {re.sub(r"-[\d.]+(?=\.)", "", name) for name in top} == {
        "stream_app",
        "stream_app.dist-info",
    }


def test_the_wheel_holds_the_whole_library(wheel: Path) -> None:
    """Every file of `stream_app/`: Lua scripts, lock of Kafka's jars and `py.typed` too."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("stream_app/")}
    there = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "stream_app").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == there
    assert {
        "stream_app/py.typed",
        "stream_app/features/stores/redis/compare_and_set.lua",
        "stream_app/local/kafka.lock.json",
    } <= held


def test_a_users_folder_named_features_is_the_one_that_is_found(
    installed: Path, tmp_path: Path
) -> None:
    """Beside the installed library; its use case is loaded and the model it names is missed."""
    readme = (ROOT / "README.md").read_text()
    example, _ = re.findall(r"(?ms)^```python$\n(.*?)^```$", readme)
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "__init__.py").touch()
    (tmp_path / "features" / "events.py").write_text("THEIRS = True\n")
    (tmp_path / "features" / "orders.py").write_text(
        f"from features.events import THEIRS\n{example}"
    )
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith("STREAM_APP_")
    }
    done = subprocess.run(
        [sys.executable, "-m", "stream_app", "run", "features.orders:usecase"],
        cwd=tmp_path,
        env={**clean, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "orders/1" in done.stderr.splitlines()[-1]
    assert "not trained yet" in done.stderr.splitlines()[-1]
