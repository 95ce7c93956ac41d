"""What `stream-app new` writes is complete, in order, and stands on public names alone."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import stream_app
from stream_app.scaffold.errors import ScaffoldError
from stream_app.scaffold.project import check_name, write_project
from tests.unit.scaffold.graphs import Given, graph

KINDS = ("example", "from a model")


@pytest.fixture(params=KINDS)
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A project called orders, of each kind."""
    model = None
    if request.param == "from a model":
        model = graph(tmp_path / "any.onnx", {"X": Given("float", (None, 3))})
    write_project("orders", tmp_path / "orders", model)
    return tmp_path / "orders"


def test_what_is_written_is_told(tmp_path: Path) -> None:
    """Every file, relative to the folder, the model's copy among them."""
    model = graph(tmp_path / "any.onnx", {"X": Given("float", (None, 3))})
    told = write_project("orders", tmp_path / "orders", model)
    found = (path for path in (tmp_path / "orders").rglob("*") if path.is_file())
    assert told == sorted(path.relative_to(tmp_path / "orders") for path in found)
    assert Path("model.onnx") in told


def test_both_kinds_have_the_same_files(tmp_path: Path) -> None:
    """One layout: whoever knows one knows the other."""
    model = graph(tmp_path / "any.onnx", {"X": Given("float", (None, 3))})
    example = write_project("orders", tmp_path / "one", None)
    assert {*write_project("orders", tmp_path / "two", model)} - {*example} == {Path("model.onnx")}


def test_no_word_of_the_template_is_left(project: Path) -> None:
    """Neither in a path nor in a text."""
    word = re.compile(
        r"PROJECT|INTRODUCTION|HOW_TO_CHANGE|[A-Z]+_(?:FIELDS|FEATURES|COLUMNS?|SOURCE)\b"
    )
    for path in project.rglob("*"):
        assert not word.search(path.relative_to(project).as_posix())
        if path.is_file() and path.suffix != ".onnx":
            assert not word.search(path.read_text()), path
            assert path.suffix != ".template"


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_its_code_is_as_a_linter_and_a_formatter_leave_it(
    project: Path, command: list[str]
) -> None:
    """By ruff's own rules; lines have 100 columns, as here."""
    ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache"]
    done = subprocess.run(
        [*ruff, "--line-length", "100", "."], cwd=project, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_its_imports_are_sorted_as_a_project_of_its_own(project: Path) -> None:
    """The library is somebody else's there."""
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "I"]
    done = subprocess.run([*ruff, "."], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_imports_public_names_alone(project: Path) -> None:
    """`stream_app` and, in tests, `stream_app.testing`."""
    used = set()
    for path in project.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stream_app"):
                if node.module == "stream_app.testing":
                    assert path.parent.name == "tests"
                else:
                    assert node.module == "stream_app", path
                    used |= {alias.name for alias in node.names}
    assert used
    assert used <= {*stream_app.__all__}


def test_its_image_copies_what_is_there(project: Path) -> None:
    """Each COPY of the Dockerfile exists, or training makes it, and .dockerignore lets it through."""
    text = (project / "Dockerfile").read_text()
    copied = [
        source for sources in re.findall(r"(?m)^COPY (.+) \S+$", text) for source in sources.split()
    ]
    assert "orders" in copied
    allowed = re.findall(r"(?m)^!(.+)$", (project / ".dockerignore").read_text())
    assert sorted(allowed) == sorted(copied)
    assert {source for source in copied if not (project / source).exists()} == {"artifacts"}
    (train,) = project.glob("*/training/train.py")
    assert "artifacts/{usecase.champion}" in train.read_text()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Orders", "cannot name a project"),
        ("2orders", "cannot name a project"),
        ("my-orders", "cannot name a project"),
        ("orders_", "cannot name a project"),
        ("class", "cannot name a project"),
        ("../orders", "cannot name a project"),
        ("json", "a module of Python's own"),
        ("tests", "a folder of every project"),
        ("numpy", "a package that is installed"),
        ("stream_app", "a package that is installed"),
    ],
)
def test_a_name_that_would_hide_something_is_refused(name: str, why: str) -> None:
    """Before anything is written."""
    with pytest.raises(ScaffoldError, match=why):
        check_name(name)


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    """Empty or not."""
    (tmp_path / "orders").mkdir()
    with pytest.raises(ScaffoldError, match=r"orders exists already: choose another name"):
        write_project("orders", tmp_path / "orders")
    assert [*(tmp_path / "orders").iterdir()] == []
