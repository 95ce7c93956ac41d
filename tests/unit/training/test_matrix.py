"""A matrix is split by time, narrowed and encoded, and a model is fitted on what it holds."""

import json
import math
from datetime import UTC, datetime

import numpy as np
import pytest

from stream_app.training.encoding import fit_one_hot, fit_ordinal, fit_target_mean
from stream_app.training.errors import MatrixError
from stream_app.training.make_matrix import make_matrix
from stream_app.training.matrix import Matrix
from tests.unit.training.shop import DAY, NUMBERS, START, log, make_usecase, payment


@pytest.fixture(scope="module")
def matrix() -> Matrix:
    """A quarter of a year."""
    return make_matrix(make_usecase(), list(log()))


def test_a_split_by_time_has_labelled_rows_only(matrix: Matrix) -> None:
    """Those before the moment, and those from it on; none of what is not labelled."""
    at = START + 30 * DAY
    train, test = matrix.split(at=at)
    assert (train.times < at).all()
    assert (test.times >= at).all()
    assert len(train) + len(test) == int(matrix.is_labelled.sum())
    assert matrix.split(at=datetime.fromtimestamp(at, UTC))[0].ids.tolist() == train.ids.tolist()


def test_a_gap_leaves_out_rows_whose_outcome_came_later(matrix: Matrix) -> None:
    """The last days before the moment."""
    at = START + 30 * DAY
    train, test = matrix.split(at=at, gap_seconds=20 * DAY)
    assert train.times.max() < START + 10 * DAY
    assert len(test) == len(matrix.split(at=at)[1])


def test_a_split_by_share(matrix: Matrix) -> None:
    """Of the labelled rows, by time."""
    train, test = matrix.split(share=0.75)
    assert len(train) / (len(train) + len(test)) == pytest.approx(0.75, abs=0.01)
    assert train.times.max() < test.times.min()


def test_a_split_that_cannot_be_is_refused(matrix: Matrix) -> None:
    """With what there is."""
    with pytest.raises(
        MatrixError, match=r"split at 1970-01-01 00:00: 0 labelled rows before, \d+ aft"
    ):
        matrix.split(at=0.0)
    with pytest.raises(MatrixError, match="one of them"):
        matrix.split()
    with pytest.raises(MatrixError, match="no offset from UTC"):
        matrix.split(at=datetime(2024, 1, 1))  # noqa: DTZ001 - naive on purpose
    with pytest.raises(MatrixError, match="between 0 and 1"):
        matrix.split(share=1.5)


def test_only_keeps_what_is_named_in_that_order(matrix: Matrix) -> None:
    """A name that is none is told with those that are."""
    assert list(matrix.only("amount", "payments").columns) == ["amount", "payments"]
    assert "amount" not in matrix.without("amount").columns
    assert len(matrix.without("amount", "hour").columns) == len(matrix.columns) - 2
    with pytest.raises(MatrixError, match="no column nothing"):
        matrix.without("nothing")
    with pytest.raises(MatrixError, match="no column nothing, there are mean_amount, payments"):
        matrix.only("nothing")
    with pytest.raises(MatrixError, match="one by one"):
        matrix.only(["amount", "hour"])  # type: ignore[arg-type]


def test_an_ordinal_is_the_place_among_the_texts(matrix: Matrix) -> None:
    """One that was not seen has the code given."""
    encoded = matrix.encode(fit_ordinal(matrix, "country", unseen=-7.0))
    numbers = encoded.numbers()["country"]
    codes = {"DE": 0.0, "FR": 1.0, "IT": 2.0}
    assert numbers.tolist() == [codes[text] for text in matrix.columns["country"]]
    log_ = [payment(1, START, country="XX")]
    other = make_matrix(make_usecase(), log_).encode(*encoded.encodings.items())
    assert other.numbers()["country"].tolist() == [-7.0]


def test_a_one_hot_is_a_number_a_text(matrix: Matrix) -> None:
    """All zeros for one that was not seen, or that was too rare."""
    one = fit_one_hot(matrix, "country", most=2)
    encoded = matrix.encode(one)
    kept = one[1].values
    assert len(kept) == 2
    numbers = encoded.numbers()
    assert [name for name in numbers if name.startswith("country")] == [
        f"country={v}" for v in kept
    ]
    for value in kept:
        expected = [float(text == value) for text in matrix.columns["country"]]
        assert numbers[f"country={value}"].tolist() == expected
    assert encoded.array().shape == (len(matrix), 6 + 2)


def test_a_target_mean_shrinks_towards_the_mean_of_all() -> None:
    """A rare text lies near the mean of all, a frequent one near its own."""
    many = [payment(n, START + n, country="often", amount=1.0) for n in range(1_000)]
    rare = payment(1_000, START + 1_000, country="rare", amount=2.0)
    rows = make_matrix(make_usecase(), [*many, rare], label=lambda e: float(e.country == "rare"))
    _, encoding = fit_target_mean(rows, "country", weight=50.0)
    assert encoding.unseen == pytest.approx(1 / 1_001)
    assert encoding.codes["often"] < 1e-4
    assert encoding.codes["rare"] == pytest.approx((1 + 50 / 1_001) / 51)


def test_numbers_take_no_encoding(matrix: Matrix) -> None:
    """And texts are no numbers without one."""
    with pytest.raises(MatrixError, match=r'amount is no column of text.*dtype="string"'):
        fit_ordinal(matrix, "amount")
    with pytest.raises(
        MatrixError, match=r"country is text: encode it.*fit_one_hot\(train, .country.\)"
    ):
        matrix.array()
    assert matrix.array(NUMBERS).dtype == np.float32


def test_a_frame_has_the_columns_by_name(matrix: Matrix) -> None:
    """A DataFrame where pandas is installed, else a mapping."""
    frame = matrix.only("amount", "hour").frame()
    assert list(frame) == ["amount", "hour"]
    assert len(frame["amount"]) == len(matrix)


def test_the_same_rows_have_the_same_hash(matrix: Matrix) -> None:
    """And others another."""
    again = make_matrix(make_usecase(), list(log()))
    assert again.sha256() == matrix.sha256()
    assert matrix.split(share=0.5)[0].sha256() != matrix.sha256()
    assert matrix.only("amount").sha256() != matrix.only("hour").sha256()


def test_unlabelled_rows_have_no_label(matrix: Matrix) -> None:
    """NaN, and left out on request."""
    assert np.isnan(matrix.labels[~matrix.is_labelled]).all()
    assert not any(math.isnan(label) for label in matrix.labelled().labels)
    assert json.dumps(matrix.labelled().labels.tolist())
