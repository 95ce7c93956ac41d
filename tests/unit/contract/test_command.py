"""`stream-app contract` as continuous integration calls it."""

import json
from pathlib import Path

import pytest

from stream_app.cli import main

USECASE = "features.flights:usecase"


def run(*arguments: str) -> int:
    """The exit status of the command."""
    with pytest.raises(SystemExit) as ended:
        main(["contract", *arguments])
    return int(ended.value.code or 0)


def test_nothing_breaks_right_after_a_contract_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever command wrote it; the status is 0."""
    assert run("asyncapi", USECASE, "--version", "2.1.0") == 0
    document = capsys.readouterr().out
    assert json.loads(document)["info"] == json.loads(document)["info"] | {"version": "2.1.0"}
    (tmp_path / "old.json").write_text(document)
    assert run("schema", USECASE, "--directory", str(tmp_path / "schemas")) == 0
    for old in ("old.json", "schemas", "schemas/flights.boarding.schema.json"):
        assert run("diff", str(tmp_path / old), USECASE) == 0
        assert capsys.readouterr().out == "Nothing has changed.\n"


def test_what_breaks_is_told_with_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sentence a change for people, and an object for programs."""
    assert run("schema", USECASE) == 0
    old = json.loads(capsys.readouterr().out)
    old["flights.predictions"]["properties"]["score"]["maximum"] = 0.5
    del old["flights.predictions"]["properties"]["late"]
    old["flights.predictions"]["required"].remove("late")
    (tmp_path / "old.json").write_text(json.dumps(old))
    assert run("diff", str(tmp_path / "old.json"), USECASE) == 1
    assert capsys.readouterr().out.splitlines() == [
        "flights.predictions: score: maximum was 0.5, is 1.0 (breaks consumers)",
        "flights.predictions: late is new (breaks nobody)",
    ]
    assert run("diff", str(tmp_path / "old.json"), USECASE, "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert told["breaks"] is True
    assert [change["breaks"] for change in told["changes"]] == ["consumers", None]


def test_wrong_use_is_a_sentence_with_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is not there, or is no contract."""
    (tmp_path / "old.json").write_text("{}")
    for arguments in (
        ["diff", str(tmp_path / "old.json")],
        ["diff", str(tmp_path / "none")],
        ["x"],
    ):
        assert run(*arguments) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
