"""The decayed share of a part in a whole."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.kinds import DecayedShare, Update
from tests.unit.features.builders import examples
from tests.unit.features.kinds.every import after

SHARE = DecayedShare(100.0)


@examples
@given(
    st.lists(
        st.tuples(st.floats(0, 1e3), st.booleans(), st.integers(1, 3)), min_size=1, max_size=20
    )
)
def test_the_share_is_that_of_the_list_of_all_updates(updates: list[Update]) -> None:
    """Each part and each whole weighed by its age."""
    newest = max(time for time, _, _ in updates)
    weights = [math.exp2((time - newest) / 100.0) for time, _, _ in updates]
    part = math.fsum(w * update[1] for w, update in zip(weights, updates, strict=True))
    whole = math.fsum(w * update[2] for w, update in zip(weights, updates, strict=True))
    state = after(SHARE, *updates)
    assert SHARE.share()(state, newest) == pytest.approx(part / whole, rel=1e-9)
    assert SHARE.whole()(state, newest + 100.0) == pytest.approx(whole / 2.0, rel=1e-9)


def test_a_part_that_carries_the_time_of_its_whole_decays_with_it() -> None:
    """One of two payments was charged back, however much later that is heard of."""
    state = after(SHARE, (0.0, 0, 1), (0.0, 0, 1), (500.0, 0, 0), (0.0, 1, 0))
    assert SHARE.share()(state, 500.0) == pytest.approx(0.5, rel=1e-12)


def test_nothing_known() -> None:
    """A share of nothing is missing, also where parts came before their whole."""
    assert math.isnan(SHARE.share()(None, 1.0))
    assert math.isnan(SHARE.share()(after(SHARE, (0.0, 1, 0)), 1.0))
    assert SHARE.whole()(None, 1.0) == 0.0
    assert math.isnan(SHARE.age()(None, 1.0))
