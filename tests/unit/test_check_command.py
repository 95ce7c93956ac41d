"""`stream-app check` finds what a start would refuse, without any service, and says what to do."""

import json
import os
import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stream_app.cli import main
from tests.usecases import regression

USECASE = """
import math
from stream_app import Column, Entity, Event, FeatureSet, InputTopic, LastValue, Prediction, UseCase, View

class Sale(Event):
    shop: str

class Other(Event):
    shop: str

def decode(message):
    return {{}}[message]

LAST = LastValue(("price",))

usecase = UseCase(
    name="sales",
    topics=(InputTopic("sales", {decoder}),),
    predictions_topic={predictions!r},
    dead_letters_topic="sales.dead",
    features=FeatureSet(
        views=(View(
            name="last", entity=Entity("shop", lambda e: e.shop), state=LAST,
            on={{Sale: lambda e: (e.event_time, 1.0)}},
            columns=(Column("last_price", {read}, "EUR", "Price.", {dtype!r}),),
        ),),
        triggers=(Sale,),
    ),
    prediction=Prediction,
    champion="sales/1",
)
"""


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty directory, and no variables of the machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in [name for name in os.environ if name.upper().startswith("STREAM_APP_")]:
        monkeypatch.delenv(name)


def check(usecase: str) -> Result:
    """Check a use case in this process."""
    return CliRunner().invoke(main, ["check", usecase])


def check_written(monkeypatch: pytest.MonkeyPatch, **parts: str) -> Result:
    """Write the use case with these parts, and check it."""
    given = {
        "decoder": "Sale", "predictions": "sales.predictions", "read": 'LAST.value("price")',
        "dtype": "float32",
    } | parts  # fmt: skip
    if given["decoder"] == "Sale":
        given["decoder"] = "__import__('stream_app').JsonDecoder(Sale)"
    Path("checked_usecase.py").write_text(USECASE.format(**given))
    monkeypatch.delitem(sys.modules, "checked_usecase", raising=False)
    return check("checked_usecase:usecase")


def test_a_use_case_that_would_start_is_told_so(tmp_path: Path) -> None:
    """With a line for it and one for each of its versions."""
    regression.train(tmp_path / "artifacts")
    result = check("tests.usecases.regression:usecase")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert "ok  meters: 2 topics, 10 columns" in result.stdout
    assert "ok  artifacts/meters/1: meters 1, 9 columns" in result.stdout


def test_what_nothing_golden_reaches_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch of the answer too, with its line: the version serves all the same."""
    regression.train(tmp_path / "artifacts")
    result = retold(monkeypatch, ANSWERED, f"{ANSWERED} if events else 3.0")
    assert result.exit_code == 0, result.output
    assert re.search(
        r"do not reach line \d+.* of .*changed_meters.py, in \w+$", result.stdout, re.MULTILINE
    )


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({}, "artifacts/sales/1 is not trained yet: run what trains it"),
        ({"dtype": "int64"}, "where nothing is known, is NaN, which int64 cannot hold: declare it"),
        ({"read": "lambda v, at: v[0]"}, "last_price of view last raises TypeError in <lambda> "),
        (
            {"read": "lambda v, at: 'none'"},
            'is a str and is declared float32: declare it with dtype="string"',
        ),
        ({"predictions": "sales"}, "The topic sales is read and written"),
        (
            {"decoder": "Other"},
            "No topic brings Sale, which asks for a prediction: give the use case an InputTopic(NAME, Sale).",
        ),
        ({"predictions": "sales.dead"}, "Predictions and dead letters go to one topic"),
        ({"decoder": "decode"}, "The decoder of sales raises "),
        ({"decoder": "lambda message: 7"}, "The decoder of sales gives a int, which is no event"),
    ],
)
def test_what_is_wrong_is_a_line_each(
    monkeypatch: pytest.MonkeyPatch, parts: dict[str, str], sentence: str
) -> None:
    """On stderr, with status 2: fit for continuous integration."""
    result = check_written(monkeypatch, **parts)
    assert result.exit_code == 2, result.output
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert all(line.startswith("stream-app check: ") for line in result.stderr.splitlines())


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the first alone."""
    result = check_written(monkeypatch, dtype="int64", predictions="sales.dead")
    assert len(result.stderr.splitlines()) == 3


def retold(monkeypatch: pytest.MonkeyPatch, old: str, new: str, champion: str = "1") -> Result:
    """Check the regression with a change in its text."""
    source = Path(regression.__file__).read_text()
    assert old in source
    source = source.replace(old, new).replace(
        'champion="meters/1"', f'champion="meters/{champion}"'
    )
    Path("changed_meters.py").write_text(source)
    monkeypatch.delitem(sys.modules, "changed_meters", raising=False)
    return check("changed_meters:usecase")


ANSWERED = 'decision["peak_kilowatts"]'
MISTAKE = (
    "lambda e: datetime.fromtimestamp(e.event_time",
    "lambda e: datetime.fromtimestamp(e.thyme",
)
TOLD = r"AttributeError 'thyme' in <lambda> \(\S*changed_meters.py:\d+\)"


def test_a_mistake_in_a_function_is_told_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To train again, as for a feature set that has changed, would not help."""
    regression.train(tmp_path / "artifacts")
    result = retold(monkeypatch, *MISTAKE)
    assert result.exit_code == 2
    assert re.search(f"fails in row feature hour: {TOLD}", result.stderr), result.stderr
    assert "has changed" not in result.stderr


def test_where_no_version_is_trained_its_functions_run_over_the_events_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the version before; and what is there, what is not, and what to do is told."""
    regression.train(tmp_path / "artifacts")
    result = retold(monkeypatch, *MISTAKE, champion="2")
    assert result.exit_code == 2
    assert "artifacts/meters/2 is not trained yet (of artifacts/meters there is 1)" in result.stderr
    assert "Nothing was scored." in result.stderr
    assert re.search(f"fails in row feature hour: {TOLD}", result.stderr), result.stderr


def test_a_log_runs_the_functions_before_anything_is_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first thing that a newcomer has is a log, not a version."""
    with Path("log.jsonl").open("w") as file:
        for each in regression.events(60, 1_700_000_000.0):
            line = {"topic": regression.topic_of(each, regression.usecase), "value": each}
            file.write(json.dumps(line) + "\n")
    good = CliRunner().invoke(
        main, ["check", "tests.usecases.regression:usecase", "--log", "log.jsonl"]
    )
    assert good.exit_code == 2  # nothing is trained
    assert "ok  log.jsonl: 20 rows" in good.stdout
    retold(monkeypatch, *MISTAKE)
    result = CliRunner().invoke(main, ["check", "changed_meters:usecase", "--log", "log.jsonl"])
    assert re.search(f"fails in row feature hour: {TOLD}", result.stderr), result.stderr


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"celsius", "celsius"', '"celsius", "celcius"',
         "row feature celsius, asked for by triggers=Request: Request has no field celcius: its fields are event_id, event_time, meter"),
        ('View("meter_load", "meter"', 'View("meter_load", "metre"',
         "view meter_load, entity metre: Reading has no field metre: its fields are"),
        ("Request,\n        lambda s: Column(\"requests\"", '{Request: "meter"},\n        lambda s: Column("requests"',
         "view meter_asked: (event_time, meter) is not what DecayedSums takes"),
    ],
)  # fmt: skip
def test_a_field_that_an_event_has_not_is_told_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, old: str, new: str, sentence: str
) -> None:
    """In a line, with what it stands in and the fields that there are."""
    result = retold(monkeypatch, old, new)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
