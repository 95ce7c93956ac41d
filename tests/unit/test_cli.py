"""The command line: helpful help, one line for what is wrong, and the status that scripts need."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import pytest
from click.testing import CliRunner, Result

from stream_app.cli import main
from stream_app.cli.local import topics_of
from stream_app.config.settings import Settings
from stream_app.errors import ConfigurationError
from stream_app.features.usecase import UseCase

COMMANDS = ("run", "check", "local", "audit", "config")

USECASE = """
from stream_app.features.events import Event, JsonDecoder
from stream_app.features.usecase import InputTopic, Prediction, UseCase
from stream_app.features.views import FeatureSet

usecase = UseCase(
    name="tiny",
    topics=(InputTopic("tiny.events", JsonDecoder(Event), partitions=3),),
    features=FeatureSet(),
    prediction=Prediction,
    champion="tiny/1",
    output_partitions=2,
)
text = "not a use case"
"""


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory with a use case in it, and no variables of the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in [name for name in os.environ if name.upper().startswith("STREAM_APP_")]:
        monkeypatch.delenv(name)
    (tmp_path / "tiny_usecase.py").write_text(USECASE)
    (tmp_path / "broken_usecase.py").write_text("import no_such_package")
    (tmp_path / "raising_usecase.py").write_text("1 / 0")
    (tmp_path / "leaving_usecase.py").write_text("import sys\nsys.exit(0)")
    for name in ("tiny_usecase", "broken_usecase", "raising_usecase", "leaving_usecase"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def call(*arguments: str, **environment: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(main, list(arguments), env=environment)


def complaint(*arguments: str, **environment: str) -> str:
    """The one line of a wrong call; the status is 2 and stdout stays empty."""
    result = call(*arguments, **environment)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Settings, UseCase]]:
    """Stand in for the worker: notes what it is given and ends with status 7."""
    calls: list[tuple[Settings, UseCase]] = []

    def run(settings: Settings, usecase: UseCase, supervised: object) -> NoReturn:
        assert supervised is None
        calls.append((settings, usecase))
        sys.exit(7)

    module: Any = ModuleType("stream_app.worker.app")
    module.run = run
    monkeypatch.setitem(sys.modules, "stream_app.worker.app", module)
    return calls


@pytest.mark.parametrize("command", COMMANDS)
def test_each_help_has_an_example_of_that_command(command: str) -> None:
    """A person copies an example sooner than they read an option list."""
    result = call(command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.stdout
    assert f"stream-app {command}" in result.stdout
    assert "[MODULE:OBJECT]" in result.stdout


def test_help_lists_every_command() -> None:
    """Without an argument, too."""
    for arguments in (["--help"], ["-h"], []):
        result = call(*arguments)
        assert result.exit_code == 0
        assert all(f"  {command} " in result.stdout for command in COMMANDS)


def test_help_imports_no_library_that_is_slow_to_load() -> None:
    """Help comes at once."""
    code = (
        "import sys, stream_app.cli as cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "slow = {'numpy', 'pydantic', 'faust', 'onnxruntime', 'confluent_kafka', 'redis'}\n"
        "print(sorted(slow & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_the_module_is_the_command() -> None:
    """`python -m stream_app` works where the script is not on PATH."""
    done = subprocess.run(
        [sys.executable, "-m", "stream_app", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip()[0].isdigit()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["run", "--fast"], "No such option"),
        (["run", "a:b", "c"], "unexpected extra argument"),
        (["local", "--kafka-port", "http"], "--kafka-port"),
        (["run"], "no use case is named"),
        (["local"], "no use case is named"),
        (["run", "features.flights"], "expected MODULE:OBJECT"),
        (["run", "no_such_module:usecase"], "there is no module no_such_module"),
        (["run", "tiny_usecase.part:usecase"], "there is no module tiny_usecase.part"),
        (["run", "tiny_usecase:usecases"], "tiny_usecase has no usecases"),
        (["run", "tiny_usecase:text"], "is a str, not a stream_app.UseCase"),
        (["run", "broken_usecase:usecase"], "broken_usecase cannot be imported: there is no mod"),
        (["run", "raising_usecase:usecase"], "ZeroDivisionError"),
        (["check", "leaving_usecase:usecase"], "it calls sys.exit as it is imported"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(arguments: list[str], expected: str) -> None:
    """No traceback and no page of usage: what is wrong, and how to learn more."""
    assert expected in complaint(*arguments)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_setting_is_one_line_and_status_2(command: str) -> None:
    """Every command reports it, and before it does anything."""
    message = complaint(command, "tiny_usecase:usecase", STREAM_APP_HTTP_PORT="high")
    assert "http_port (environment variable STREAM_APP_HTTP_PORT)" in message


@pytest.mark.parametrize("command", ["run", "config"])
def test_a_property_that_librdkafka_does_not_know_is_reported_at_the_start(command: str) -> None:
    """Not when the first client is made, deep in the worker."""
    message = complaint(
        command, "tiny_usecase:usecase", STREAM_APP_KAFKA='{"sasl.pasword": "hunter2"}'
    )
    assert 'No such configuration property: "sasl.pasword"' in message


def test_run_hands_the_use_case_to_the_worker_and_ends_with_its_status(
    app: list[tuple[Settings, UseCase]],
) -> None:
    """From the argument, or else from the settings."""
    assert call("run", "tiny_usecase:usecase").exit_code == 7
    assert call("run", STREAM_APP_USECASE="tiny_usecase:usecase").exit_code == 7
    Path("stream_app.toml").write_text('usecase = "tiny_usecase:usecase"\n')
    assert call("run").exit_code == 7
    assert [usecase.name for _, usecase in app] == ["tiny"] * 3


def test_what_the_worker_cannot_work_with_is_one_line_as_well(
    app: list[tuple[Settings, UseCase]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that is refused is told like a wrong setting; a bug keeps its traceback."""

    def refuses(*_: object) -> NoReturn:
        raise ConfigurationError("The model\nis another one.")

    def breaks(*_: object) -> NoReturn:
        raise RuntimeError("a bug")

    monkeypatch.setattr(sys.modules["stream_app.worker.app"], "run", refuses)
    assert complaint("run", "tiny_usecase:usecase") == "stream-app: The model is another one.\n"
    monkeypatch.setattr(sys.modules["stream_app.worker.app"], "run", breaks)
    assert isinstance(call("run", "tiny_usecase:usecase").exception, RuntimeError)


def test_config_shows_values_with_their_sources_and_masks_secrets() -> None:
    """What is in effect and why, safe to paste into an issue."""
    Path("stream_app.toml").write_text("batch_max_records = 7\n")
    environment = {"STREAM_APP_REDIS_URL": "redis://:hunter2@cache:6379/0"}
    result = call("config", **environment)
    assert result.exit_code == 0
    lines = {line.split()[0]: line.split(maxsplit=2)[1:] for line in result.stdout.splitlines()}
    assert lines["batch_max_records"] == ["7", "file stream_app.toml"]
    assert lines["redis_url"][0] == "redis://********@cache:6379/0"
    assert "hunter2" not in result.output
    shown = json.loads(call("config", "--json", **environment).stdout)
    assert shown["batch_max_records"] == {"value": "7", "source": "file stream_app.toml"}
    assert set(Settings.model_fields) <= {*shown}


def test_local_creates_every_topic_that_the_worker_touches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Topics in and out, with the use case's numbers of partitions."""
    from stream_app.config.usecase import load_usecase

    usecase = load_usecase("tiny_usecase:usecase")
    assert topics_of(usecase, Settings(feature_log_topic="tiny.features")) == {
        "tiny.events": 3,
        "tiny.predictions": 2,
        "tiny.dead-letters": 2,
        "tiny.features": 2,
    }


def test_an_output_that_cannot_be_written_whole_is_a_sentence() -> None:
    """A full disk, say: status 2, and neither a traceback nor a status that means something else."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "stream_app", "config"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "the output cannot be written whole: No space left on device" in done.stderr
