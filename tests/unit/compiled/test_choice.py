"""Which of the two runs, and that a person is told."""

import os
import shutil
import subprocess
import sys

import pytest

from stream_app import compiled
from stream_app.compiled import PYTHON_ONLY, compiled_module, why_python


def test_where_a_compiler_is_the_tests_run_what_is_compiled() -> None:
    """Or what CI says of the compiled code would be said of Python; unless they are told to run in it."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is here")
    assert (why_python() is None) == (os.environ.get(PYTHON_ONLY) != "1"), (
        "run `make .venv/.installed`, which compiles"
    )


@pytest.mark.parametrize(
    ("value", "is_set"), [("1", True), ("yes", True), ("0", False), ("", False)]
)
def test_a_variable_makes_everything_run_in_python(
    value: str, is_set: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With any value but nothing and 0; the reason names it."""
    monkeypatch.setenv(PYTHON_ONLY, value)
    assert (why_python() == "STREAM_APP_PYTHON_ONLY is set") == is_set
    if is_set:
        assert compiled_module("moments") is None


def test_a_process_takes_the_way_that_its_environment_names() -> None:
    """From its first import on."""
    script = "from stream_app.features.events import moments; print(moments.moment_to_seconds.__module__)"
    environment = {**os.environ, PYTHON_ONLY: "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "stream_app.features.events.moments"


def test_code_that_was_not_compiled_and_code_that_does_not_load_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The one is how the package was built, the other a fault that somebody has to look at."""
    monkeypatch.delenv(PYTHON_ONLY, raising=False)
    name = f"{compiled.__name__}.moments"

    def missing(_: str) -> None:
        raise ModuleNotFoundError("gone", name=name)

    def broken(_: str) -> None:
        raise ImportError("undefined symbol: exp2", name=name)

    monkeypatch.setattr(compiled, "import_module", missing)
    assert why_python() == "the package was built without it, where no C compiler was found"
    monkeypatch.setattr(compiled, "import_module", broken)
    assert why_python() == "it cannot be loaded: undefined symbol: exp2"
