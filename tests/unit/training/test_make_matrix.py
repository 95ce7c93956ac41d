"""The matrix holds what serving would have read, and what happened after."""

import json
import math
import random
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest

from stream_app.errors import ServiceAwayError
from stream_app.features.engine.replay import replay
from stream_app.features.events import LogRecord
from stream_app.features.usecase import InputTopic, Outcome, TimeBounds
from stream_app.features.views import FeatureSet, RowFeature
from stream_app.training.errors import LogError, MatrixError
from stream_app.training.events import Decoded
from stream_app.training.make_matrix import make_matrix
from tests.unit.training.shop import (
    DAY,
    FEATURES,
    START,
    Chargeback,
    Payment,
    chargeback,
    log,
    make_usecase,
    payment,
)  # fmt: skip

USECASE = make_usecase()


def with_row_feature(feature: RowFeature) -> FeatureSet:
    """The feature set with one more row feature."""
    return replace(FEATURES, row_features=(*FEATURES.row_features, feature))


def labels(*records: LogRecord, usecase: object = USECASE, **options: object) -> list[float | None]:
    """The labels of a log; None where there is none."""
    made = make_matrix(usecase, list(records), **options)  # type: ignore[arg-type]
    return [None if math.isnan(label) else label for label in made.labels]


def test_columns_are_those_of_the_replay() -> None:
    """Bit for bit, in the dtypes declared, with ids and times of the events that asked."""
    matrix = make_matrix(USECASE, list(log()))
    events = [known.event for known in Decoded(USECASE, list(log())).in_order()]
    rows = list(replay(FEATURES, events))
    assert list(matrix.columns) == list(FEATURES.columns)
    assert matrix.ids.tolist() == [row.event.event_id for row in rows]
    assert matrix.times.tolist() == [row.event.event_time for row in rows]
    for at, (name, column) in enumerate(matrix.columns.items()):
        values = [row.values[at] for row in rows]
        if FEATURES.dtypes[name] == "float32":
            assert np.array_equal(column, np.array(values, np.float32), equal_nan=True)
        else:
            assert column.tolist() == values
    assert matrix.columns["hour"].dtype == np.int64
    assert matrix.columns["country"].dtype == object


def test_a_log_that_is_not_in_order_gives_the_same_matrix() -> None:
    """Topic after topic, as an export has them: sorted as serving would take it."""
    in_order = make_matrix(USECASE, list(log()))
    by_topic = sorted(log(), key=lambda each: each.topic)
    assert [topic for topic, _ in groupby(by_topic, key=lambda each: each.topic)] != []
    sorted_ = make_matrix(USECASE, by_topic)
    assert sorted_.ids.tolist() == in_order.ids.tolist()
    for name, column in in_order.columns.items():
        assert sorted_.columns[name].tolist() == pytest.approx(column.tolist(), nan_ok=True) or (
            column.dtype == object and sorted_.columns[name].tolist() == column.tolist()
        )
    assert "was not in order" in sorted_.report
    assert "was not in order" not in in_order.report


def test_a_log_that_is_read_once_has_to_be_in_order() -> None:
    """It cannot be sorted without holding it, which the caller decides."""
    shuffled = list(log())
    random.Random(1).shuffle(shuffled)
    with pytest.raises(LogError, match=r"is not in order.*pass a list, or read_log"):
        make_matrix(USECASE, iter(shuffled))
    assert len(make_matrix(USECASE, log())) == 400


def test_records_that_are_no_events_are_counted() -> None:
    """With the first of each reason: serving would dead-letter them."""
    bad = LogRecord(b"{", timestamp=START, topic="payments")
    matrix = make_matrix(USECASE, [bad, bad, payment(1, START), payment(2, START + 1)])
    assert len(matrix) == 2
    assert "2 records are no events: invalid-json, the first record 1 (payments)" in matrix.report


def test_a_time_that_serving_would_not_believe_is_none() -> None:
    """The same bounds hold, against the record's timestamp."""
    early = payment(1, START)._replace(timestamp=START + 500 * DAY)
    usecase = make_usecase(times=TimeBounds(behind_seconds=DAY))
    matrix = make_matrix(usecase, [payment(2, START), early])
    assert matrix.ids.tolist() == ["payments-2"]
    assert "time-out-of-range" in matrix.report


def test_an_unknown_topic_is_refused() -> None:
    """A log of something else."""
    with pytest.raises(
        LogError, match=r"record 1 of the log is of the topic other, .*payments, lo"
    ):
        make_matrix(USECASE, [LogRecord(b"{}", topic="other")])


def test_a_log_without_a_trigger_is_refused() -> None:
    """Nothing asks, so there is no row."""
    with pytest.raises(MatrixError, match=r"no event that asks for a prediction \(Payment\)"):
        make_matrix(USECASE, [chargeback(1, START)])


def test_a_log_whose_triggers_are_all_refused_says_why() -> None:
    """An author who added a field trains on the old log first of all."""
    with pytest.raises(MatrixError, match=r"2 records are no events: missing-field, the first rec"):
        make_matrix(USECASE, [LogRecord(b"{}", topic="payments") for _ in range(2)])


def test_nothing_within_the_horizon_means_zero() -> None:
    """An outcome in time is the label; one that came too late is none."""
    end = chargeback(99, START + 60 * DAY)
    made = labels(
        payment(1, START),
        payment(2, START + 1),
        payment(3, START + 2),
        chargeback(1, START + 5 * DAY),
        chargeback(2, START + 21 * DAY),
        end,
    )
    assert made == [1.0, 0.0, 0.0]


def test_a_row_whose_horizon_is_beyond_the_log_has_no_label() -> None:
    """Also where its outcome came early: at the log's end only those would be there."""
    made = labels(payment(1, START), payment(2, START + 30 * DAY), chargeback(2, START + 31 * DAY))
    assert made == [0.0, None]


def test_without_a_horizon_only_outcomes_label() -> None:
    """An outcome that gives None gives no label."""
    told = Outcome(Chargeback, lambda e: e.payment_id, lambda e: None if e.fraud else 0.0)
    made = labels(
        payment(1, START), payment(2, START + 1), payment(3, START + 2),
        chargeback(1, START + 3), chargeback(2, START + 4, fraud=False),
        usecase=make_usecase(outcome=told),
    )  # fmt: skip
    assert made == [None, 0.0, None]


def test_the_last_outcome_in_time_counts() -> None:
    """A chargeback that was withdrawn is none."""
    made = labels(
        payment(1, START),
        chargeback(1, START + DAY),
        chargeback(1, START + 2 * DAY, fraud=False),
        chargeback(9, START + 60 * DAY),
    )
    assert made == [0.0]


def test_an_outcome_that_was_known_before_is_a_leak() -> None:
    """Refused with the first; or its row has no label."""
    leak = (chargeback(1, START), payment(1, START + 1), payment(2, START + 2),
            chargeback(9, START + 60 * DAY))  # fmt: skip
    with pytest.raises(
        MatrixError, match=r"of 1 predictions the outcome was known .*payments-1 of"
    ):
        labels(*leak)
    assert labels(*leak, known_outcomes="unlabelled") == [None, 0.0]


def test_an_outcome_that_asks_is_refused() -> None:
    """Its features would be read with the label in hand."""
    asks = make_usecase(outcome=Outcome(Payment, lambda e: e.payment_id, lambda e: 1.0))
    with pytest.raises(MatrixError, match="Payment is the outcome and asks for predictions too"):
        make_matrix(asks, list(log()))


def test_a_column_that_is_the_label_is_refused() -> None:
    """What a model shall predict is no feature."""
    told = RowFeature("told", lambda e: 1.0 if e.amount > 50 else 0.0, "1", "The label.")
    usecase = make_usecase(features=with_row_feature(told))
    with pytest.raises(MatrixError, match="the column told is the label in each of the"):
        make_matrix(usecase, list(log()), label=lambda e: float(e.amount > 50))


def test_labels_may_be_texts() -> None:
    """By a function of the event that asked, where the log tells it there."""
    matrix = make_matrix(
        USECASE, list(log()), label=lambda e: None if e.card == "c1" else f"queue {e.country}"
    )
    assert matrix.labels.dtype == object
    assert set(matrix.labels[matrix.is_labelled]) == {"queue DE", "queue FR", "queue IT"}
    assert 0 < (~matrix.is_labelled).sum() < len(matrix)


@pytest.mark.parametrize(
    ("feature", "sentence"),
    [
        (RowFeature("odd", lambda e: math.nan, "", "", "int64"), "declared int64 and reads NaN"),
        (RowFeature("odd", lambda e: "7", "", ""), "declared float32 and holds a str"),
        (RowFeature("odd", lambda e: 7, "", "", "string"), "declared string and holds a int"),
    ],
)
def test_a_column_that_is_not_what_it_declares_is_named(feature: RowFeature, sentence: str) -> None:
    """With what to do."""
    with pytest.raises(MatrixError, match=f"the column odd is {sentence}.*(declare|return)"):
        make_matrix(make_usecase(features=with_row_feature(feature)), list(log()))


def test_a_function_that_raises_is_found() -> None:
    """By its file and line, without a word of the payload."""
    feature = RowFeature("odd", lambda e: e.nothing, "", "")
    with pytest.raises(
        MatrixError,
        match=r"row feature odd: AttributeError 'nothing' in <lambda> \(.*test_make_matrix.py:\d+\)",
    ):
        make_matrix(make_usecase(features=with_row_feature(feature)), list(log()))


def test_the_report_says_how_much_and_how_fast() -> None:
    """Rows, labels, memory, rate and what was read."""
    told = str(make_matrix(USECASE, list(log())))
    assert "400 rows of 7 columns" in told
    assert "MB" in told
    assert "a second: Chargeback" in told


def test_every_event_type_and_branch_of_the_log_is_kept_for_golden_events() -> None:
    """A few records of many stand for all."""
    rare = payment(5_000, START + 200 * DAY, amount=5_000.0, card="c7")
    matrix = make_matrix(USECASE, [*log(2_000), rare])
    assert len(matrix.golden.records) < 100
    assert {each.topic for each in matrix.golden.records} == {"payments", "logins", "chargebacks"}
    amounts = [json.loads(r.value or b"")["amount"] for r in matrix.golden.records
               if r.topic == "payments"]  # fmt: skip
    assert max(amounts) > 1_000.0


def test_a_boolean_column_is_one() -> None:
    """And a double keeps its digits."""
    features = replace(
        FEATURES,
        row_features=(
            RowFeature("large", lambda e: e.amount > 50, "", "", "bool"),
            RowFeature("exact", lambda e: e.amount / 3, "", "", "float64"),
        ),
    )
    matrix = make_matrix(make_usecase(features=features), list(log()))
    assert matrix.columns["large"].dtype == np.bool_
    amounts = [json.loads(r.value or b"")["amount"] for r in log() if r.topic == "payments"]
    assert matrix.columns["exact"].tolist() == [amount / 3 for amount in amounts]


def test_a_record_without_a_value_is_what_serving_takes_it_for() -> None:
    """A dead letter, unless the topic says that it is an event."""
    matrix = make_matrix(
        USECASE, [payment(1, START), LogRecord(None, b"k", (), START, "payments"),
                  LogRecord(b"", b"k", (), START, "payments")]
    )  # fmt: skip
    assert "1 records are no events: tombstone, the first record 2 (payments)" in matrix.report
    assert "1 records are no events: empty-value, the first record 3 (payments)" in matrix.report


def test_a_service_that_a_decoder_needs_is_not_taken_for_a_bad_record() -> None:
    """Half a matrix would be worse than none."""

    def away(message: LogRecord) -> Payment:
        raise ServiceAwayError("schema-registry", "the registry is away")

    topics = (InputTopic("payments", away), *USECASE.topics[1:])
    with pytest.raises(ServiceAwayError, match="the registry is away"):
        make_matrix(make_usecase(topics=topics), [payment(1, START)])


def test_an_update_that_is_no_tuple_is_told_so() -> None:
    """And not as a line of the library's."""
    spend, *others = USECASE.features.views
    wrong = replace(spend, on={Payment: lambda e: e.amount})
    features = replace(USECASE.features, views=(wrong, *others))
    with pytest.raises(
        MatrixError,
        match="update of view spend: an update is a float, and has to be a tuple: the time, then what",
    ):
        make_matrix(make_usecase(features=features), list(log()))


def test_a_function_of_the_outcome_that_raises_is_named() -> None:
    """With the event: it is the author's own, as those of the declaration are."""
    log_of = [payment(1, START), chargeback(1, START + DAY)]
    good = USECASE.outcome
    assert good is not None
    for name in ("join_key", "label"):
        wrong = replace(good, **{name: lambda e: e.no_such_field})  # type: ignore[arg-type]
        told = f"the outcome's {name} raised AttributeError 'no_such_field' in <lambda> .*test_make_matrix.py:"
        with pytest.raises(MatrixError, match=told):
            make_matrix(USECASE, log_of, outcome=wrong)
    with pytest.raises(MatrixError, match=r"label raised KeyError in <lambda> .* for the Payment "):
        make_matrix(USECASE, log_of, label=lambda e: {}[e.card])
    with pytest.raises(
        MatrixError, match=r"label raised TypeError .* missing 1 required positional"
    ):
        make_matrix(USECASE, log_of, label=lambda e, outcome: 1.0)  # type: ignore[arg-type,misc]


def test_a_text_in_a_column_of_numbers_leads_to_the_declaration_of_texts() -> None:
    """A newcomer's first column of text: what to declare, and what encodes it."""
    features = with_row_feature(RowFeature("where", lambda e: e.country, "", ""))
    told = r'where is declared float32 and holds a str: declare it with dtype="string" and encode'
    with pytest.raises(MatrixError, match=told):
        make_matrix(make_usecase(features=features), [payment(1, START)])
