"""CONTRIBUTING.md, done to the letter in a copy of the repository."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.walk_through import Command

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()


def run(folder: Path, command: str, *, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a line of the page as a shell does, in a folder; no setting comes from outside."""
    clean = {name: value for name, value in os.environ.items() if name[:11] != "STREAM_APP_"}
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=clean,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )


def without_figures(text: str) -> str:
    """Numbers with a point are those of this machine's processor."""
    return re.sub(r"\d+\.\d+(e-\d+)?", "#", text)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What git knows of the repository, with this environment as its `.venv`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git repository")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def transcripts() -> dict[str, str]:
    """Return each command that the page shows with a `$`, and what it prints, lines joined."""
    blocks = re.findall(r"(?m)^    \$ (.+)\n((?:    (?!\$).+\n)*)", PAGE)
    return {command: " ".join(printed.split()) for command, printed in blocks}


def test_every_target_that_the_page_names_exists_and_takes_its_arguments(copy: Path) -> None:
    """`make --dry-run` says what would be done."""
    lines = re.findall(r"(?m)^    (make \S.*?)(?:  +#.*)?$", PAGE)
    lines += re.findall(r"`((?:PYTHON=\S+ )?make [^`]+)`", PAGE)
    assert len(lines) > 5
    for line in lines:
        done = run(copy, re.sub(r"\bmake\b", "make --dry-run", " ".join(line.split()), count=1))
        assert done.returncode == 0, done.stdout
        for arguments in re.findall(r'ARGS="([^"]+)"', " ".join(line.split())):
            assert arguments in done.stdout, line


@pytest.mark.timeout(900)
def test_a_new_view_is_refused_until_a_model_is_trained_with_it(copy: Path) -> None:
    """The change of the page is applied, and the worker says what the page says, word for word."""
    (diff,) = re.findall(r"(?ms)^```diff$\n(.*?)^```$", PAGE)
    applied = run(copy, "git apply --verbose -", text=diff)
    assert applied.returncode == 0, applied.stdout
    command = ".venv/bin/stream-app run"
    refused = run(copy, command)
    assert " ".join(refused.stdout.split()) == transcripts()[command]
    assert refused.returncode == 2
    # A dry run tells what `make train` would do: by itself it would install what is there.
    (train,) = run(
        copy, "make --no-print-directory --dry-run -o .venv/.installed train"
    ).stdout.splitlines()
    trained = run(copy, train)
    assert trained.returncode == 0, trained.stdout
    Command("make train", without_figures(transcripts()["make train"])).check(
        without_figures(trained.stdout)
    )
    module = copy / "features/flights/__init__.py"
    assert "Name both (`champion-2` and `static-2` in `features/flights/__init__.py`)" in " ".join(
        PAGE.split()
    )
    for model in ("champion", "static"):
        module.write_text(module.read_text().replace(f"flights/{model}-1", f"flights/{model}-2"))
    checked = run(copy, ".venv/bin/stream-app check")
    assert checked.returncode == 0, checked.stdout
    assert "artifacts/flights/champion-2: flights-late champion-2, 35 columns" in checked.stdout
    assert "not reach" not in checked.stdout


def test_the_code_is_as_the_formatter_leaves_it(copy: Path) -> None:
    """`make format` changes no file of a fresh clone."""
    before = {path: path.read_bytes() for path in copy.glob("stream_app/**/*.py")}
    formatted = run(copy, "make --old-file .venv/.installed format")
    assert formatted.returncode == 0, formatted.stdout
    assert {path: path.read_bytes() for path in before} == before
