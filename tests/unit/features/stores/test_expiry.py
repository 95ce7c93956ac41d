"""When a store may forget a state."""

from dataclasses import replace

from hypothesis import example, given
from hypothesis import strategies as st

from stream_app.features.stores.expiry import expiry_seconds
from stream_app.features.usecase import TimeBounds
from tests.unit.features.builders import FEATURES, examples

ORDERS, LAST, _ = FEATURES.views
VIEWS = (replace(ORDERS, ttl_seconds=60.5), replace(LAST, ttl_seconds=3_600.0), FEATURES.views[2])


def test_a_state_outlives_its_ttl_and_its_records() -> None:
    """One after the other, in whole seconds; a view without a ttl is never forgotten."""
    assert expiry_seconds(VIEWS, 100.0, 0.0) == {"orders": 161, "last": 3_700}
    assert expiry_seconds(VIEWS, 0.0, 0.0) == {"orders": 61, "last": 3_600}


@given(
    written=st.floats(0.0, 1e6),
    lain=st.floats(0.0, 1.0),
    ahead=st.floats(-1.0, 1.0),
    late=st.floats(-1.0, 1.0),
    beyond=st.floats(0.1, 1e6),
)
@example(written=0.0, lain=1.0, ahead=1.0, late=-1.0, beyond=0.1)
@examples
def test_what_is_forgotten_would_be_read_as_absent(
    written: float, lain: float, ahead: float, late: float, beyond: float
) -> None:
    """So a late event finds online what it finds offline, however late it is and is read."""
    times = TimeBounds(ahead_seconds=500.0, behind_seconds=9_000.0)
    retention, ttl = 3_000.0, 60.5
    expiry = expiry_seconds(VIEWS, retention, times.behind_seconds + times.ahead_seconds)
    low, high = times.range_at(written)
    newest = min(
        high, written + ahead * times.ahead_seconds
    )  # the last update, when it was written
    read = written + expiry["orders"] + beyond
    recorded = read - lain * retention
    low, high = times.range_at(recorded)
    event_time = min(high, max(low, recorded + late * times.behind_seconds))
    assert event_time - newest > ttl


def test_where_records_are_kept_for_ever_so_are_states() -> None:
    """They may be read again at any time."""
    assert expiry_seconds(VIEWS, None, 0.0) == {}
    assert expiry_seconds(FEATURES.views, 100.0, 0.0) == {}
