"""The fraud use case of three topics, from its log to what a worker answers."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from stream_app import LogRecord, make_matrix
from stream_app.models import Model, load_models
from stream_app.testing import Seen, Sent, rehearse
from tests.usecases import fraud
from tests.usecases.fraud import HOUR, START, chargeback, login, payment, usecase


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Model]:
    """The version that it serves, which reaches all of its declaration."""
    folder = tmp_path_factory.mktemp("artifacts")
    assert fraud.train(folder).unreached == ()
    return load_models(usecase, folder)


def seen_of(records: Iterable[LogRecord], models: list[Model]) -> Seen:
    """What becomes of a log's records."""
    sent = [
        Sent(
            topic=record.topic,
            value=record.value,
            key=record.key,
            headers=record.headers,
            timestamp=record.timestamp,
            partition=record.partition,
        )
        for record in records
    ]
    return rehearse(usecase, sent, models=models)


def asked(number: int, **other: Any) -> LogRecord:
    """A payment of card 7, an hour after the one before."""
    given = {"merchant": "m1", "country": "DE", "amount": 20.0} | other
    return payment(f"p{number}", 7, at=START + number * HOUR, **given)


def test_a_prediction_says_what_and_why(models: list[Model]) -> None:
    """By fields of the event, of its row and of the model's decision."""
    seen = seen_of([asked(1), asked(2), asked(3, country="BR", amount=900.0)], models)
    assert seen.dead_letters == []
    assert [each["event_id"] for each in seen.predictions] == ["p1", "p2", "p3"]
    assert [each["country"] for each in seen.predictions] == ["DE", "DE", "BR"]
    # The first country of a card is no other one.
    assert [each["reasons"] for each in seen.predictions] == [[], [], ["abroad"]]
    usual, unusual = seen.predictions[1], seen.predictions[2]
    assert usual["fraud"] is False
    assert unusual["fraud"] is (unusual["probability"] > 0.3) is True


def test_what_cannot_be_an_event_is_a_dead_letter_that_names_the_field(
    models: list[Model],
) -> None:
    """Of the value, or of the record: its neighbours pass."""
    nameless = login("l1", 7, succeeded=True, at=START)._replace(headers=())
    seen = seen_of([nameless, asked(1, amount=-5.0), asked(2, country="Germany"), asked(3)], models)
    assert [(each.reason, each.field) for each in seen.dead_letters] == [
        ("missing-field", "header login-id"),
        ("out-of-range", "amount"),
        ("bad-format", "country"),
    ]
    assert [each["event_id"] for each in seen.predictions] == ["p3"]


def test_states_are_those_of_a_card_and_of_a_merchant(models: list[Model]) -> None:
    """A chargeback belongs to neither: it labels, and no state may know it."""
    seen = seen_of(
        [
            login("l1", 7, succeeded=False, at=START),
            login("l2", 7, succeeded=True, at=START),
            asked(1, amount=10.0),
            asked(1, amount=30.0, merchant="m2"),
            chargeback("p1", fraud=True, at=START + 2 * HOUR),
        ],
        models,
    )
    spent = seen.states["card_spend"]["7"]
    assert (spent.updates, spent.columns) == (2, {"mean_amount": 20.0, "deviation": 10.0})
    assert seen.states["card_logins"]["7"].columns == {"failed": 0.5}
    assert seen.states["card_recent"]["7"].columns == {"payments_1h": 2.0, "spent_1h": 40.0}
    assert seen.states["card_merchants"]["7"].columns == {"merchants_7d": 2.0}
    assert seen.states["card_where"]["7"].columns == {"last_country": "DE"}
    assert {key: each.columns for key, each in seen.states["merchant_spend"].items()} == {
        "m1": {"merchant_mean": 10.0},
        "m2": {"merchant_mean": 30.0},
    }


def test_what_was_never_known_is_missing_and_is_answered_for(models: list[Model]) -> None:
    """Also in what is derived of it."""
    (row,) = seen_of([asked(1)], models).rows
    missing = {
        name for name, value in row.items() if isinstance(value, float) and math.isnan(value)
    }
    assert missing == {"mean_amount", "deviation", "failed", "merchant_mean", "z"}
    assert (row["last_country"], row["abroad"], row["payments_1h"]) == ("", 0.0, 0.0)


def test_online_rows_are_those_of_the_matrix_in_every_cell(models: list[Model]) -> None:
    """Of all payments of a log, with the derived columns and the texts."""
    records = fraud.log(days=12)
    matrix = make_matrix(usecase, records)
    seen = seen_of(records, models)
    assert [each["event_id"] for each in seen.predictions] == matrix.ids.tolist()
    assert len(seen.rows) == 600
    for name, column in matrix.columns.items():
        online = [row[name] for row in seen.rows]
        if column.dtype == object:
            assert online == column.tolist()
        else:
            np.testing.assert_array_equal(np.array(online, dtype=column.dtype), column, name)
