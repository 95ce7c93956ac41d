"""An answer that is there may still be worthless, and is found out."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.samples import dead_letter, prediction
from tests.chaos.values import broken_dead_letters, broken_predictions, shared_ids
from tests.integration.testbed import Place
from tests.integration.worker import Out
from tests.usecases.regression import Forecast, Request

PLACE: Place = ("in", 0, 1)


def record(key: bytes | None = b"key", value: bytes | None = b"{") -> Out:
    """The record that answers are of."""
    return Out("in", 0, 1, 1.0, key, value, [])


def event(event_id: str = "e1") -> Request:
    """What it says."""
    return Request.model_construct(
        event_id=event_id, event_time=1.0, meter="m1", minutes_ahead=60, celsius=10.0
    )


def problems(*copies: Out, of: Request | None = None, key: bytes | None = b"key") -> list[str]:
    """What is wrong with predictions for it."""
    return broken_predictions(
        {PLACE: copies}, {PLACE: record(key)}, {PLACE: of or event()}, {"in": "t"}, Forecast
    )


def test_a_prediction_that_is_its_record_s_is_whole() -> None:
    """Also where the record has no key."""
    assert problems(prediction(1), prediction(1, kilowatts=7.0)) == []
    assert problems(replace(prediction(1), key=None), key=None) == []


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (replace(prediction(1), value=None), "has no value"),
        (replace(prediction(1), value=b""), "breaks its contract"),
        (replace(prediction(1), value=b"{}"), "breaks its contract"),
        (replace(prediction(1), value=b"\xff"), "breaks its contract"),
        (prediction(1, kilowatts=None), "breaks its contract: ('kilowatts',)"),
        (prediction(1, prediction_id="t-0-2"), "has the id t-0-2, not t-0-1"),
        (replace(prediction(1), headers=[]), "has the id None in its header"),
        (prediction(1, event_id="e2"), "is of the event e2, and there stands e1"),
        (prediction(1, event_time="1970-01-01T00:00:02Z"), "is of the event"),
        (replace(prediction(1), key=None), "has another key"),
    ],
)
def test_a_prediction_that_says_something_else_is_broken(broken: Out, told: str) -> None:
    """Without value or key, against its contract, with another's id, of another event."""
    (problem,) = problems(prediction(1), broken)
    assert told in problem


def test_no_two_records_share_an_id() -> None:
    """Whoever keeps one answer of each would lose one: a claim to be a replay is not believed."""
    claimed: dict[str, Any] = {"prediction_id": "t-0-9", "event_id": "forged-1"}
    (problem,) = problems(prediction(1, **claimed), of=event("forged-1"))
    assert "has the id t-0-9, not t-0-1" in problem
    events = {PLACE: event("forged-1"), ("in", 0, 9): event("e9")}
    answers = {PLACE: [prediction(1, **claimed)], ("in", 0, 9): [prediction(9)]}
    (shared,) = shared_ids(answers, events)
    assert "t-0-9 is that of 2 records" in shared
    assert shared_ids({PLACE: [prediction(1)] * 2}, events) == []


def letters(out: Out, **had: Any) -> list[str]:
    """What is wrong with a dead letter of the record."""
    return broken_dead_letters({PLACE: [out]}, {PLACE: record(**had)})


def test_a_dead_letter_is_the_record_as_it_came() -> None:
    """Or says of what it lacks how long that was, and its SHA-256."""
    assert letters(dead_letter(1)) == []
    assert letters(dead_letter(1, value=None), value=None) == []
    value = b"x" * 30_000
    said = {
        "value_omitted_sha256": hashlib.sha256(value).hexdigest(),
        "value_omitted_bytes": "30000",
    }
    assert letters(dead_letter(1, value=None, **said), value=value) == []


@pytest.mark.parametrize(
    ("out", "told"),
    [
        (dead_letter(1, value=None), "another value"),
        (dead_letter(1, value=b"{}"), "another value"),
        (dead_letter(1, key=None), "another key"),
        (dead_letter(1, value=None, value_omitted_bytes="1"), "another value"),
        (dead_letter(1, reason=""), "says no reason"),
    ],
)
def test_a_dead_letter_that_is_something_else_is_broken(out: Out, told: str) -> None:
    """One that lost something unsaid, or does not say why it is one."""
    (problem,) = letters(out)
    assert told in problem
