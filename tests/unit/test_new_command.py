"""`stream-app new`, `send` and `tail`: their help, and wrong calls in a line each."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stream_app.cli import main


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory."""
    monkeypatch.chdir(tmp_path)


def call(*arguments: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize("command", ["new", "send", "tail"])
def test_each_help_has_an_example(command: str) -> None:
    """Of that command."""
    shown = call(command, "--help").stdout
    assert f"stream-app {command} " in shown.partition("Example:")[2]


def test_new_lists_what_it_wrote_and_what_comes_next() -> None:
    """The three commands are the first of the README."""
    done = call("new", "orders", "--directory", "my orders")
    assert done.exit_code == 0
    *files, _, enter, venv, install = filter(None, map(str.strip, done.stdout.splitlines()))
    assert {str(path) for path in Path("my orders").rglob("*") if path.is_file()} == {*files}
    assert enter == "cd 'my orders'"
    readme = Path("my orders/README.md").read_text()
    assert f"    {venv}\n    {install}\n" in readme


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["new"], "Missing argument 'NAME'"),
        (["new", "json"], "json is a module of Python's own"),
        (["new", "orders", "--from", "none.onnx"], "'none.onnx' does not exist"),
        (["send", "none.jsonl"], "'none.jsonl' does not exist"),
        (["send", "broken.jsonl"], "broken.jsonl, record 1: the line is not JSON"),
        (["tail", "orders.predictions", "--count", "0"], "--count"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(arguments: list[str], expected: str) -> None:
    """It says what was wrong."""
    Path("broken.jsonl").write_text("{")
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert expected in result.stderr
    assert result.stderr.count("\n") == 1
