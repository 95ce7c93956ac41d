"""What the audit reads off a declaration is what the feature engine executes."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given

from stream_app.audit.updates import Updates
from stream_app.audit.values import same_values
from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import FeatureEngine
from stream_app.features.engine.replay import LoggedEvent
from stream_app.features.kinds import DecayedSums, LastValue, OpenItems
from stream_app.features.usecase import TimeBounds
from tests.unit.features.builders import FEATURES, Delivered, Ordered, examples, logs

ALWAYS = TimeBounds(earliest=-math.inf, latest=math.inf)


def by_engine(log: Sequence[LoggedEvent]) -> dict[tuple[int, str], list[float]]:
    """The states as the engine makes them."""
    engine = FeatureEngine(FEATURES)
    arrivals = [Arrival(each.event, each.rank + 1, each.rank, each.offset) for each in log]
    engine.gather(arrivals)
    tables = engine.tables()
    engine.advance(arrivals, tables)
    return {
        (view, entity): state.values
        for view, table in enumerate(tables)
        for entity, state in table.items()
    }


@examples
@given(logs())
def test_both_lead_to_the_same_states(log: list[LoggedEvent]) -> None:
    """The same entities, the same numbers, in the same order."""
    updates = Updates(FEATURES, ALWAYS)
    states: dict[tuple[int, str], list[float]] = {}
    for each in log:
        for view, entity, update in updates(each.event, 0.0):
            kind = FEATURES.views[view].state
            state = states.setdefault((view, entity), kind.empty())
            kind.apply(state, update, each.rank, each.offset)
    expected = by_engine(log)
    assert states.keys() == expected.keys()
    for key, values in expected.items():
        assert list(map(repr, states[key])) == list(map(repr, values))


def test_an_event_with_a_time_that_is_not_believed_updates_nothing() -> None:
    """The worker dead-letters it, whatever it would have updated besides."""
    event = Ordered(event_id="e", event_time="2026-01-01T00:00:00Z", shop="s", due=9e9)
    assert Updates(FEATURES, ALWAYS)(event, 0.0)
    assert Updates(FEATURES, TimeBounds(earliest=0.0, latest=8e9))(event, 0.0) == ()


def test_an_event_that_a_function_fails_on_updates_nothing() -> None:
    """As in the engine, where its error is its own."""
    event = Delivered(event_id="e", event_time="2026-01-01T00:00:00Z", shop="s", due=math.pi)
    object.__setattr__(event, "due", math.nan)
    assert Updates(FEATURES, ALWAYS)(event, 0.0) == ()


@pytest.mark.parametrize(
    ("state", "stored", "expected", "same"),
    [
        (DecayedSums(1.0, ("x",)), [5.0, 2.0, 3.0], [5.0, 2.0, 3.0 * (1 + 1e-10)], True),
        (DecayedSums(1.0, ("x",)), [5.0, 2.0, 3.0], [5.0, 2.0, 3.0 * (1 + 1e-8)], False),
        (DecayedSums(1.0, ("x",)), [5.0, 2.0, 3.0], [5.0 * (1 + 1e-10), 2.0, 3.0], False),
        (LastValue(("x",)), [5.0, 1.0, 2.0, 7.0], [5.0, 1.0, 2.0, 7.0 * (1 + 1e-10)], False),
        (LastValue(("x",)), [5.0, -1.0, -1.0, math.nan], [5.0, -1.0, -1.0, math.nan], True),
        (OpenItems(60.0), [3, 1, 0], [3, 1, 1], False),
    ],
)
def test_only_decayed_sums_may_differ_and_only_in_their_last_bits(
    state: DecayedSums | LastValue | OpenItems,
    stored: list[float],
    expected: list[float],
    same: bool,
) -> None:
    """Times, last values and rings are equal or they are not."""
    assert same_values(state, stored, expected) is same
