"""Which fences a state still needs."""

from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.stores.fences import prune_fences
from tests.unit.features.builders import examples

_offsets = st.dictionaries(st.integers(1, 12), st.integers(0, 20))


def test_a_fence_below_the_start_of_the_log_is_dropped() -> None:
    """The record at the fence is gone, and all before it; the one at the start is not."""
    fences = {1: 9, 2: 10, 3: 11, 4: 0}
    assert prune_fences(fences, {1: 10, 2: 10, 3: 10}) == {2: 10, 3: 11, 4: 0}
    assert fences == {1: 9, 2: 10, 3: 11, 4: 0}


def test_a_source_whose_log_is_not_known_keeps_its_fence() -> None:
    """It belongs to another worker."""
    assert prune_fences({7: 3}, {1: 1_000}) == {7: 3}


def test_where_nothing_is_dropped_nothing_is_copied() -> None:
    """The usual case costs a look."""
    fences = {1: 10, 2: 10}
    assert prune_fences(fences, {1: 10}) is fences
    assert prune_fences(fences, {}) is fences


@examples
@given(_offsets, _offsets)
def test_what_is_dropped_guards_no_record(fences: dict[int, int], starts: dict[int, int]) -> None:
    """A record that can still be read is applied, or not, as with all fences."""
    kept = prune_fences(fences, starts)
    for source in range(1, 13):
        for offset in range(starts.get(source, 0), 22):
            assert (kept.get(source, -1) >= offset) == (fences.get(source, -1) >= offset)
    assert prune_fences(kept, starts) is kept
