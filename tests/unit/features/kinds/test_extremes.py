"""The least and the greatest values of all time."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.kinds import Extremes
from tests.unit.features.builders import bits, examples
from tests.unit.features.kinds.every import after

KIND = Extremes(("amount",))


@examples
@given(st.lists(st.tuples(st.floats(0, 10), st.none() | st.floats(-9, 9)), max_size=10))
def test_extremes_are_those_of_the_list_of_all_updates(updates: list[Any]) -> None:
    """However old, and None is no value."""
    values = [value for _, value in updates if value is not None]
    state = after(KIND, *updates)
    read = [KIND.minimum("amount")(state, 0.0), KIND.maximum("amount")(state, 0.0)]
    # Added to 0.0, for -0.0 and 0.0 are the same least value.
    expected = [min(values), max(values)] if values else [math.nan] * 2
    assert bits([each + 0.0 for each in read]) == bits([each + 0.0 for each in expected])


def test_nothing_known() -> None:
    """Missing, and not infinite."""
    for state in (None, KIND.empty(), after(KIND, (1.0, None))):
        assert math.isnan(KIND.minimum("amount")(state, 1.0))
        assert math.isnan(KIND.maximum("amount")(state, 1.0))


@pytest.mark.parametrize("value", [math.nan, math.inf, "7"])
def test_a_value_that_is_no_finite_number_is_refused(value: Any) -> None:
    """It would stay for all time."""
    with pytest.raises(ValueError, match=r"not finite|something else than numbers"):
        KIND.check([(1.0, value)])
