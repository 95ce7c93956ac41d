"""Open items: a ring of counters of what is due."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.kinds import OpenItems
from stream_app.features.kinds.contract import InvalidUpdateError
from tests.unit.features.builders import examples
from tests.unit.features.kinds.every import after

RING = OpenItems(horizon_seconds=9.0, slot_seconds=1.0)  # ten slots


def still_open(updates: list[tuple[float, int]], at: float, within: float) -> int:
    """Overdue items, from the list of all updates; slots are one second here."""
    newest = max((math.floor(due) for due, _ in updates), default=0)
    first, last = math.floor(at) - math.ceil(within), math.floor(at)
    return sum(
        sign
        for due, sign in updates
        if first < math.floor(due) <= last and math.floor(due) > newest - RING.slots
    )


_ring_updates = st.lists(
    st.tuples(st.integers(-60, 60).map(lambda half: half / 2.0), st.sampled_from([1, -1])),
    max_size=30,
)


@pytest.mark.parametrize("order", [(1, -1), (-1, 1)], ids=["opened first", "closed first"])
def test_an_item_that_was_closed_is_not_open(order: tuple[int, int]) -> None:
    """Opening and closing cancel out, whichever is heard of first."""
    state = after(RING, *((5.0, sign) for sign in order))
    assert RING.overdue(9.0)(state, 6.0) == 0.0


def test_an_item_is_overdue_from_its_due_time_on() -> None:
    """Not before; and not for longer than asked for."""
    state = after(RING, (5.0, 1))
    overdue = RING.overdue(3.0)
    assert [overdue(state, at) for at in (4.0, 5.0, 7.9, 8.0)] == [0.0, 1.0, 1.0, 0.0]


def test_a_slot_expires_when_its_place_in_the_ring_is_taken() -> None:
    """What is due a ring later takes the place; what comes late for an expired slot is lost."""
    first, again = 5.0, 5.0 + RING.slots
    state = after(RING, (first, 1), (again, 1), (first, 1))
    assert RING.overdue(9.0)(state, again) == 1.0
    assert sum(state[1:]) == 1


def test_a_jump_over_the_whole_ring_empties_it() -> None:
    """Nothing of the old ring shines through."""
    state = after(RING, *((float(due), 1) for due in range(10)), (1e6, 1))
    assert sum(state[1:]) == 1


def test_nothing_known() -> None:
    """An absent state has nothing overdue."""
    assert RING.overdue(9.0)(None, 5.0) == 0.0


@examples
@given(_ring_updates, st.randoms(use_true_random=False))
def test_any_order_gives_the_same_ring(updates: list[tuple[float, int]], random: Any) -> None:
    """Wrapped or not, the counters are those of the slots that have not expired."""
    shuffled = updates.copy()
    random.shuffle(shuffled)
    assert after(RING, *updates) == after(RING, *shuffled)


@examples
@given(_ring_updates, st.integers(-70, 70), st.integers(1, 12))
def test_overdue_is_what_a_list_of_all_updates_says(
    updates: list[tuple[float, int]], half_seconds: int, within: int
) -> None:
    """Against brute force, at moments before, inside and after the ring."""
    at = half_seconds / 2.0
    state = after(RING, *updates) if updates else None
    assert RING.overdue(float(within))(state, at) == still_open(updates, at, within)


@pytest.mark.parametrize("due", [1.3e308, -1.3e308, 2**62, -(2**62)])
def test_a_due_time_whose_slot_no_state_can_hold_is_refused(due: float) -> None:
    """It has no slot, or one whose number takes more than 64 bits."""
    items = OpenItems(horizon_seconds=9.0, slot_seconds=0.7)
    with pytest.raises(InvalidUpdateError, match="the time of an update is not within"):
        items.check([(0.0, 1), None, (due, 1)])
    items.check([(1e18, 1), (-1e18, -1)])
