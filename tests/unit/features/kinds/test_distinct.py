"""Distinct counts: within their error bounds, for windows and for all time."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.kinds import Distinct, DistinctEver, State, Values
from stream_app.features.kinds.hashing import hash64
from tests.unit.features.builders import examples
from tests.unit.features.kinds.every import after

DAY = 86_400.0


def errors(kind: Distinct | DistinctEver, values: int, trials: int) -> list[float]:
    """Relative errors of the count of so many different values, each trial with others."""
    read = kind.count()
    found = []
    for trial in range(trials):
        state = filled(kind, [f"{trial}-{n}" for n in range(values)])
        found.append(read(state, 0.0) / values - 1.0)
    return found


def filled(kind: State, values: list[str]) -> Values:
    """The state after each of the values."""
    return after(kind, *((0.0, value) for value in values))


@pytest.mark.parametrize(
    ("kind", "values", "trials", "documented"),
    [
        (Distinct(), 26, 200, 0.045),
        (Distinct(), 256, 100, 0.053),
        (Distinct(), 768, 60, 0.084),
        (DistinctEver(), 100, 100, 0.023),
        (DistinctEver(), 3_000, 20, 0.033),
        (DistinctEver(registers=64), 5_000, 20, 0.13),
    ],
    ids=str,
)
def test_the_error_is_within_what_the_docstring_says(
    kind: Distinct | DistinctEver, values: int, trials: int, documented: float
) -> None:
    """Its root mean square is at most one and a half times the documented one, and its mean, the
    bias, at most three standard errors."""
    found = errors(kind, values, trials)
    rms = math.sqrt(statistics.fmean(error * error for error in found))
    assert rms <= 1.5 * documented
    assert abs(statistics.fmean(found)) <= 3 * rms / math.sqrt(trials) + 0.5 / values


@examples
@given(st.sets(st.integers(), max_size=12))
def test_a_few_values_are_counted_nearly_exactly(values: set[int]) -> None:
    """Two of a dozen values that share a cell of 256 are the most that is likely."""
    for kind in (Distinct(), DistinctEver()):
        state = after(kind, *((0.0, value) for value in values))
        assert abs(kind.count()(state, 0.0) - len(values)) <= 3


@examples
@given(
    st.lists(st.tuples(st.integers(0, 100).map(float), st.sampled_from("abcdefgh")), max_size=20),
    st.integers(0, 120).map(float),
)
def test_a_window_counts_what_was_seen_in_it(updates: list[tuple[float, str]], at: float) -> None:
    """These eight letters have a cell each; what is late takes no newer time away."""
    kind = Distinct(30.0)
    assert len({hash64(letter) % kind.cells for letter in "abcdefgh"}) == 8
    state = after(kind, *updates)
    for seconds in (30.0, 7.0, math.inf):
        seen = {value for time, value in updates if time > at - seconds}
        assert kind.count(seconds)(state, at) == len(seen)
    assert kind.count()(state, at) == kind.count(30.0)(state, at)


def test_a_state_that_is_full_reads_as_more_than_it_has_cells() -> None:
    """It stays behind, and is still a number."""
    kind = Distinct(cells=16)
    assert kind.count()(filled(kind, [str(n) for n in range(10_000)]), 0.0) == 55.0


def test_the_hash_is_the_same_for_ever() -> None:
    """States in a store outlive processes, machines and versions of Python."""
    assert [hash64("books"), hash64(7), hash64("7")] == [
        9236514970799317619,
        9407870976149377255,
        9407870976149377255,
    ]


@pytest.mark.parametrize("value", [1.5, True, None, b"books", "\ud800"])
def test_what_is_neither_text_nor_integer_is_refused(value: object) -> None:
    """A float is a different value for every rounding."""
    for kind in (Distinct(), DistinctEver()):
        kind.check([(0.0, "books"), (0.0, 7), None])
        with pytest.raises(ValueError, match=r"not a str or an int|surrogates not allowed"):
            kind.check([(0.0, "books"), (0.0, value)])


def test_nothing_known() -> None:
    """None of anything."""
    assert Distinct(DAY).count()(None, 1.0) == 0.0
    assert DistinctEver().count()(None, 1.0) == 0.0
    assert DistinctEver().count()(DistinctEver().empty(), 1.0) == 0.0
