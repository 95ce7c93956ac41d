"""`stream-app check` finds what a start would refuse, without any service, and says what to do."""

import os
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
    fields=lambda outputs, decision: [],
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


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({}, "artifacts/sales/1/manifest.json cannot be read"),
        ({"dtype": "int64"}, "where nothing is known, is NaN, which int64 cannot hold: declare it"),
        ({"read": "lambda v, at: v[0]"}, "last_price of view last raises TypeError in <lambda> "),
        ({"read": "lambda v, at: 'none'"}, "is a str and is declared float32: return a number"),
        ({"predictions": "sales"}, "The topic sales is read and written"),
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
