"""Kinds of state: what they promise about order, lateness and reading."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.kinds import DecayedSums, LastValue, OpenItems, State, Update
from tests.unit.features.builders import bits, examples

HALF_LIFE = 100.0
SUMS = DecayedSums(HALF_LIFE, ("amount",))
LAST = LastValue(("left", "right"))
RING = OpenItems(horizon_seconds=9.0, slot_seconds=1.0)  # ten slots

KINDS: list[State] = [SUMS, LAST, RING]
UPDATES: dict[str, Update] = {
    "decayed-sums": (50.0, 2.5),
    "last-value": (50.0, 2.5, None),
    "open-items": (50.0, 1),
}


def after(kind: State, *updates: Update) -> list[Any]:
    """The state after updates, each of rank 0 and the next offset."""
    state = kind.empty()
    for offset, update in enumerate(updates):
        kind.apply(state, update, 0, offset)
    return state


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.describe()["kind"])
def test_the_width_never_changes(kind: State) -> None:
    """An empty state and an updated one have as many numbers as `width` says."""
    update = UPDATES[kind.describe()["kind"]]
    assert len(kind.empty()) == len(after(kind, update, update)) == kind.width


class TestDecayedSums:
    def test_a_half_life_halves_count_and_sums(self) -> None:
        """An update one half-life later leaves half of the first, and itself."""
        assert after(SUMS, (0.0, 8.0), (HALF_LIFE, 1.0)) == [HALF_LIFE, 1.5, 5.0]

    def test_a_late_update_decays_its_addend(self) -> None:
        """What comes late is weighed down by its age; the state keeps its time and its weight."""
        assert after(SUMS, (HALF_LIFE, 1.0), (0.0, 8.0)) == [HALF_LIFE, 1.5, 5.0]

    def test_a_read_before_its_time_uses_age_zero(self) -> None:
        """A read at an earlier moment than the newest update does not blow the count up."""
        state = after(SUMS, (HALF_LIFE, 1.0))
        assert SUMS.count()(state, 0.0) == 1.0
        assert SUMS.age()(state, 0.0) == 0.0

    def test_a_later_read_decays_the_count_and_not_the_mean(self) -> None:
        """Decay cancels out of a mean; the count and the age go on."""
        state = after(SUMS, (0.0, 8.0), (0.0, 4.0))
        assert SUMS.count()(state, HALF_LIFE) == 1.0
        assert SUMS.mean("amount")(state, HALF_LIFE) == 6.0
        assert SUMS.age()(state, HALF_LIFE) == HALF_LIFE

    def test_nothing_known(self) -> None:
        """An absent state counts 0; its mean and age are missing."""
        assert SUMS.count()(None, 5.0) == 0.0
        assert math.isnan(SUMS.mean("amount")(None, 5.0))
        assert math.isnan(SUMS.age()(None, 5.0))

    def test_reading_changes_nothing(self) -> None:
        """A state is the same before and after its columns were read."""
        state = after(SUMS, (0.0, 8.0))
        for read in (SUMS.count(), SUMS.mean("amount"), SUMS.age()):
            read(state, 1e6)
        assert state == [0.0, 1.0, 8.0]

    @examples
    @given(
        st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e6)), min_size=1, max_size=20),
        st.randoms(use_true_random=False),
    )
    def test_any_order_gives_the_same_sums(self, updates: list[Update], random: Any) -> None:
        """The sum over all updates, each decayed to the newest time, within 1e-9."""
        shuffled = updates.copy()
        random.shuffle(shuffled)
        newest = max(time for time, _ in updates)
        weights = [math.exp2((time - newest) / HALF_LIFE) for time, _ in updates]
        expected = [
            math.fsum(weights),
            math.fsum(w * amount for w, (_, amount) in zip(weights, updates, strict=True)),
        ]
        for order in (updates, shuffled):
            time, *sums = after(SUMS, *order)
            assert time == newest
            assert sums == pytest.approx(expected, rel=1e-9, abs=1e-300)


class TestLastValue:
    def test_the_newest_time_wins_whole(self) -> None:
        """A newer update replaces all fields, those it does not give included."""
        state = after(LAST, (1.0, 10.0, 20.0), (2.0, 11.0, None))
        assert LAST.value("left")(state, 2.0) == 11.0
        assert math.isnan(LAST.value("right")(state, 2.0))

    def test_an_older_update_changes_nothing(self) -> None:
        """Not even the fields that the newest update left open."""
        state = after(LAST, (2.0, 11.0, None))
        before = bits(state)
        LAST.apply(state, (1.0, 10.0, 20.0), 9, 9)
        assert bits(state) == before

    def test_partial_updates_of_one_time_unite_field_by_field(self) -> None:
        """Two halves of one moment make a whole."""
        state = after(LAST, (2.0, 11.0, None), (2.0, None, 21.0))
        assert [LAST.value(name)(state, 2.0) for name in LAST.fields] == [11.0, 21.0]

    @pytest.mark.parametrize(
        ("winner", "loser"),
        [((1, 0), (0, 9)), ((1, 5), (1, 4))],
        ids=["the greater rank", "the greater offset of one rank"],
    )
    def test_ties_of_time(self, winner: tuple[int, int], loser: tuple[int, int]) -> None:
        """Rank decides, then the offset; which came first does not."""
        for order in ([winner, loser], [loser, winner]):
            state = LAST.empty()
            for place in order:
                LAST.apply(state, (2.0, 1.0 if place == winner else 0.0, None), *place)
            assert LAST.value("left")(state, 2.0) == 1.0

    def test_nothing_known(self) -> None:
        """Values and age of an absent state are missing; an age is never negative."""
        assert math.isnan(LAST.value("left")(None, 1.0))
        assert math.isnan(LAST.age()(None, 1.0))
        assert LAST.age()(after(LAST, (5.0, 1.0, 1.0)), 1.0) == 0.0

    @examples
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 3).map(float),
                st.none() | st.integers(0, 5).map(float),
                st.none() | st.integers(0, 5).map(float),
                st.integers(0, 2),
            ),
            max_size=15,
        ),
        st.randoms(use_true_random=False),
    )
    def test_any_order_gives_the_same_values(self, updates: list[Any], random: Any) -> None:
        """For each field the greatest (time, rank, offset) that gives it, of the newest time."""
        placed = [(update[:3], update[3], offset) for offset, update in enumerate(updates)]
        random.shuffle(placed)
        state = LAST.empty()
        for update, rank, offset in placed:
            LAST.apply(state, update, rank, offset)
        newest = max((update[0] for update, _, _ in placed), default=-math.inf)
        assert state[0] == newest
        for field, name in enumerate(LAST.fields, start=1):
            given = [
                (rank, offset, update[field])
                for update, rank, offset in placed
                if update[0] == newest and update[field] is not None
            ]
            expected = max(given)[2] if given else math.nan
            assert bits(LAST.value(name)(state, newest)) == bits(float(expected))


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


class TestOpenItems:
    @pytest.mark.parametrize("order", [(1, -1), (-1, 1)], ids=["opened first", "closed first"])
    def test_an_item_that_was_closed_is_not_open(self, order: tuple[int, int]) -> None:
        """Opening and closing cancel out, whichever is heard of first."""
        state = after(RING, *((5.0, sign) for sign in order))
        assert RING.overdue(9.0)(state, 6.0) == 0.0

    def test_an_item_is_overdue_from_its_due_time_on(self) -> None:
        """Not before; and not for longer than asked for."""
        state = after(RING, (5.0, 1))
        overdue = RING.overdue(3.0)
        assert [overdue(state, at) for at in (4.0, 5.0, 7.9, 8.0)] == [0.0, 1.0, 1.0, 0.0]

    def test_a_slot_expires_when_its_place_in_the_ring_is_taken(self) -> None:
        """What is due a ring later takes the place; what comes late for an expired slot is lost."""
        first, again = 5.0, 5.0 + RING.slots
        state = after(RING, (first, 1), (again, 1), (first, 1))
        assert RING.overdue(9.0)(state, again) == 1.0
        assert sum(state[1:]) == 1

    def test_a_jump_over_the_whole_ring_empties_it(self) -> None:
        """Nothing of the old ring shines through."""
        state = after(RING, *((float(due), 1) for due in range(10)), (1e6, 1))
        assert sum(state[1:]) == 1

    def test_nothing_known(self) -> None:
        """An absent state has nothing overdue."""
        assert RING.overdue(9.0)(None, 5.0) == 0.0

    @examples
    @given(_ring_updates, st.randoms(use_true_random=False))
    def test_any_order_gives_the_same_ring(
        self, updates: list[tuple[float, int]], random: Any
    ) -> None:
        """Wrapped or not, the counters are those of the slots that have not expired."""
        shuffled = updates.copy()
        random.shuffle(shuffled)
        assert after(RING, *updates) == after(RING, *shuffled)

    @examples
    @given(_ring_updates, st.integers(-70, 70), st.integers(1, 12))
    def test_overdue_is_what_a_list_of_all_updates_says(
        self, updates: list[tuple[float, int]], half_seconds: int, within: int
    ) -> None:
        """Against brute force, at moments before, inside and after the ring."""
        at = half_seconds / 2.0
        state = after(RING, *updates) if updates else None
        assert RING.overdue(float(within))(state, at) == still_open(updates, at, within)
