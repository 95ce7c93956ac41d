"""The wheel: the library alone, whole, and a good neighbour to what its user has."""

import os
import re
import shutil
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
    compiled = re.compile(r"stream_app/compiled/\w+\.[\w.-]+\.(so|pyd)")
    assert {name for name in held if not compiled.fullmatch(name)} == {
        name for name in there if not compiled.fullmatch(name)
    }
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


def built(folder: Path, **environment: str) -> tuple[str, set[str]]:
    """Name of a wheel that is built in an environment, and the compiled modules in it."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(
        build, cwd=ROOT, env={**os.environ, **environment}, check=True, capture_output=True
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("stream_app/compiled/")}
    return wheel.name, {name for name in names if name.endswith((".so", ".pyd"))}


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler is here")
def test_the_wheel_is_of_one_platform_and_holds_every_compiled_module(tmp_path: Path) -> None:
    """Where a C compiler is; each source has its module."""
    name, compiled = built(tmp_path, STREAM_APP_COMPILE="require")
    assert "py3-none-any" not in name
    sources = {path.stem for path in (ROOT / "stream_app" / "compiled").glob("*.pyx")}
    assert {Path(each).name.partition(".")[0] for each in compiled} == sources


def test_without_a_compiler_the_wheel_is_one_of_python_alone(tmp_path: Path) -> None:
    """It is built all the same, unless the compiler is required."""
    name, compiled = built(tmp_path, CC="/nowhere/cc", CXX="/nowhere/cc")
    assert name.endswith("py3-none-any.whl")
    assert not compiled
    with pytest.raises(subprocess.CalledProcessError):
        built(tmp_path, CC="/nowhere/cc", CXX="/nowhere/cc", STREAM_APP_COMPILE="require")
