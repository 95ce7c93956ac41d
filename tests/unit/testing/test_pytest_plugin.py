"""The plugin of pytest, in a run of its own over a project of an author."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.usecases.regression import train

ROOT = Path(__file__).parents[3]

_TEST = """
from stream_app.testing import Sent

def test_a_reading_asks_for_nothing(rehearse):
    reading = {"event_id": "s", "event_time": "2024-01-01T00:30:00Z", "meter": "m1", "kilowatts": 5.0}
    seen = rehearse([Sent(topic="meters.readings", value=reading)])
    assert seen.predictions == [] and seen.states["meter_load"]["m1"].updates == 1
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder, with the plugin as its only one besides pytest's own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "stream_app.pytest_plugin", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_fixture_rehearses_the_use_case_of_the_projects_settings(tmp_path: Path) -> None:
    """Use case and artifacts are named once, in pyproject.toml."""
    train(tmp_path / "artifacts")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\nstream_app_usecase = "tests.usecases.regression:usecase"\n'
    )
    (tmp_path / "test_mine.py").write_text(_TEST)
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_without_a_use_case_the_fixture_says_what_to_set(tmp_path: Path) -> None:
    """A sentence and an example."""
    (tmp_path / "test_mine.py").write_text(_TEST)
    done = run(tmp_path)
    assert done.returncode != 0
    assert "stream_app_usecase is not set: name the use case" in done.stdout


def test_a_run_that_does_not_ask_for_it_loads_nothing_of_it(tmp_path: Path) -> None:
    """The plugin is there in every run where stream_app is installed."""
    (tmp_path / "test_mine.py").write_text(
        "import sys\n\ndef test_it():\n    assert 'numpy' not in sys.modules\n"
        "    assert 'stream_app.testing' not in sys.modules\n"
    )
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("option", ["--help"])
def test_its_switch_is_told_by_the_help(tmp_path: Path, option: str) -> None:
    """As every option of pytest."""
    assert "--stream-app-services" in run(tmp_path, option).stdout


def project(folder: Path, test: str) -> None:
    """Settings and a test of a project around the regression."""
    (folder / "pyproject.toml").write_text(
        '[tool.pytest.ini_options]\nstream_app_usecase = "tests.usecases.regression:usecase"\n'
    )
    (folder / "test_mine.py").write_text(test)


def test_a_model_that_is_refused_is_a_short_failure(tmp_path: Path) -> None:
    """Its sentence for each test, and no traceback through the library."""
    project(tmp_path, _TEST + _TEST.replace("test_a_reading", "test_another"))
    done = run(tmp_path)
    assert done.returncode == 1
    assert done.stdout.count("meters/1 is not trained yet") >= 2
    assert "stream_app/" not in done.stdout
    assert len(done.stdout.splitlines()) < 20, done.stdout


_REFUSED = """
from stream_app.testing import Sent

def test_a_request_is_answered(rehearse):
    (prediction,) = rehearse([Sent(topic="meters.requests", value={"event_id": "r"})]).predictions

def test_a_request_is_the_only_prediction(rehearse):
    rehearse([Sent(topic="meters.requests", value={"event_id": "s"})]).prediction
"""


def test_a_test_that_expects_a_prediction_shows_what_came_instead(tmp_path: Path) -> None:
    """Reason, field and message of each dead letter, however the test unpacks what it saw."""
    train(tmp_path / "artifacts")
    project(tmp_path, _REFUSED)
    done = run(tmp_path)
    assert done.returncode == 1
    first, second = done.stdout.split("test_a_request_is_the_only_prediction _")
    came = "meters.requests: missing-field, field event_time: Field required"
    for told in (first, second):
        assert "0 predictions and 1 dead letters came:" in told
        assert came in told
    assert "AssertionError: one prediction was expected" in second
    assert "seen.py" not in second.split("short test summary")[0]
