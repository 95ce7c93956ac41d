"""When a store may forget a state."""

from dataclasses import replace

from features.stores.expiry import expiry_seconds
from tests.unit.features.builders import FEATURES

ORDERS, LAST, _ = FEATURES.views
VIEWS = (replace(ORDERS, ttl_seconds=60.5), replace(LAST, ttl_seconds=3_600.0), FEATURES.views[2])


def test_a_state_outlives_its_ttl_and_its_records() -> None:
    """One after the other, in whole seconds; a view without a ttl is never forgotten."""
    assert expiry_seconds(VIEWS, 100.0) == {"orders": 161, "last": 3_700}
    assert expiry_seconds(VIEWS, 0.0) == {"orders": 61, "last": 3_600}


def test_where_records_are_kept_for_ever_so_are_states() -> None:
    """They may be read again at any time."""
    assert expiry_seconds(VIEWS, None) == {}
    assert expiry_seconds(FEATURES.views, 100.0) == {}
