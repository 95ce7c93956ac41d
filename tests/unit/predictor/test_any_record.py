"""Whatever is sent, each record ends as one prediction, one update of the state or one dead letter."""

import json
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.features.events import LogRecord
from stream_app.models import Model, load_models
from stream_app.records.failure import Failure
from stream_app.wire.dead_letter import DeadLetters
from stream_app.wire.prediction import Predictions
from tests.fuzz import records
from tests.fuzz.account import Account
from tests.usecases.regression import events, topic_of, train, usecase

NOW = 1_704_067_200.0
TOPICS = [topic.name for topic in usecase.topics]

#: Of the decoded texts, lone surrogates among them; NaN and Infinity are written as Python writes them.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
EVENTS = st.sampled_from(events(30, NOW))


@st.composite
def nearly_valid(draw: st.DrawFn) -> bytes:
    """An event with one field gone, another or changed."""
    event = dict(draw(EVENTS))
    field = draw(st.sampled_from([*event, "kilowatts", "celsius", "more"]))
    if draw(st.booleans()):
        event.pop(field, None)
    else:
        event[field] = draw(JSON)
    return json.dumps(event).encode()


VALUES = st.none() | st.binary() | JSON.map(lambda x: json.dumps(x).encode()) | nearly_valid()
HEADERS = st.lists(
    st.tuples(st.text(st.characters(codec="utf-8")), st.none() | st.binary()), max_size=3
)
TIMESTAMPS = st.none() | st.floats(0.0, 1e13) | st.just(NOW)
RECORDS = st.builds(
    LogRecord, VALUES, st.none() | st.binary(), HEADERS, TIMESTAMPS, st.sampled_from(TOPICS)
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Model]:
    """The model version of the regression."""
    folder = tmp_path_factory.mktemp("artifacts")
    train(folder)
    return load_models(usecase, Path(folder))


@settings(max_examples=150, deadline=None)
@given(st.lists(RECORDS, min_size=1, max_size=6))
def test_any_bytes_any_json_and_nearly_valid_events_have_one_end_each(
    models: Sequence[Model], batch: list[LogRecord]
) -> None:
    """In one batch, so that a bad neighbour harms nobody."""
    account = Account(usecase, models)
    account(batch)
    account.close()


def test_each_kind_of_damage_has_one_end_each(models: Sequence[Model]) -> None:
    """Nesting, huge integers, repeated fields, byte order marks and the others of `tests.fuzz`.

    `python -m tests.fuzz` takes more of them.
    """
    account, rng = Account(usecase, models), Random(20)
    for _ in range(6):
        account([records.record(rng) for _ in range(500)])
    account.close()
    assert {"prediction", "update", "invalid-json", "nesting-too-deep", "not-finite"} <= set(
        account.outcomes
    )


def valid(count: int) -> list[LogRecord]:
    """Records that all are taken."""
    return [
        LogRecord(json.dumps(event).encode(), None, (), NOW, topic_of(event, usecase))
        for event in events(count, NOW)
    ]


def test_the_account_notices_a_record_with_no_end(
    models: Sequence[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the tests above would pass whatever became of the records."""
    account = Account(usecase, models)
    monkeypatch.setattr(Predictions, "__call__", lambda self, item: None)
    with pytest.raises(AssertionError):
        account(valid(12))


def test_the_account_notices_a_record_with_two_ends(
    models: Sequence[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A letter beside a prediction."""
    account = Account(usecase, models)
    failure = Failure("decode", "tombstone", "")
    monkeypatch.setattr(DeadLetters, "__call__", lambda self, item: self.letter(item, failure))
    with pytest.raises(AssertionError):
        account(valid(12))


def test_the_account_notices_an_update_that_the_store_does_not_hold(
    models: Sequence[Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that neither went out nor is in the state is lost."""
    account = Account(usecase, models)
    account(valid(12))
    monkeypatch.setattr(type(account._predictor.state), "write", lambda self, batch: None)
    account(valid(12))
    with pytest.raises(AssertionError):
        account.close()
