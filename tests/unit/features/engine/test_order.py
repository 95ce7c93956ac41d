"""The comparator: total, and rising within a partition whatever its timestamps are."""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.engine.order import OrderKey, PartitionOrder, rank
from tests.unit.features.builders import examples

# Few values, so that ties are common; a record that is no event has no event time.
_moments = st.integers(0, 5).map(float)
_records = st.lists(
    st.tuples(_moments, _moments | st.just(-math.inf), st.integers(1, 3)), max_size=20
)


def keys_of(partition: int, records: list[tuple[float, float, int]]) -> list[OrderKey]:
    """Keys of a partition's records (known at, event time, step to its offset)."""
    order, offset, keys = PartitionOrder(partition), -1, []
    for known_at, event_time, step in records:
        offset += step
        keys.append(order.key(known_at, event_time, offset))
    return keys


@examples
@given(_records)
def test_keys_rise_within_a_partition(records: list[tuple[float, float, int]]) -> None:
    """Offset order is never changed, however timestamps and event times jump."""
    keys = keys_of(0, records)
    assert all(a < b for a, b in pairwise(keys))


@examples
@given(_records)
def test_no_later_key_lies_below_the_bound(records: list[tuple[float, float, int]]) -> None:
    """What the bound promised before a record holds for the record's key."""
    order, offset = PartitionOrder(0), -1
    for known_at, event_time, step in records:
        offset += step
        promised = order.bound
        assert promised <= order.key(known_at, event_time, offset) < order.bound


@examples
@given(st.lists(_records, min_size=2, max_size=3))
def test_no_two_records_have_one_key(partitions: list[list[tuple[float, float, int]]]) -> None:
    """The order is total: sorting never has to compare anything but keys."""
    keys = [key for number, each in enumerate(partitions) for key in keys_of(number, each)]
    assert len(set(keys)) == len(keys)


def test_what_became_known_earlier_comes_first() -> None:
    """Then the earlier event time, the topic's place, the partition and the offset."""
    expected = [
        PartitionOrder(rank(1, 0)).key(1.0, 9.0, 9),
        PartitionOrder(rank(1, 0)).key(2.0, -math.inf, 9),
        PartitionOrder(rank(1, 0)).key(2.0, 3.0, 9),
        PartitionOrder(rank(0, 7)).key(2.0, 4.0, 9),
        PartitionOrder(rank(1, 0)).key(2.0, 4.0, 9),
        PartitionOrder(rank(1, 1)).key(2.0, 4.0, 0),
        PartitionOrder(rank(1, 1)).key(2.0, 4.0, 1),
    ]
    shuffled = [expected[at] for at in (6, 2, 0, 5, 3, 1, 4)]
    assert sorted(shuffled) == expected


def test_one_early_timestamp_does_not_hold_its_partition_back() -> None:
    """It counts as known when its predecessor was."""
    order = PartitionOrder(0)
    assert order.key(5.0, 5.0, 0) < order.key(1.0, 1.0, 1) == (5.0, 5.0, 0, 1)


def test_ranks_follow_the_topics_and_then_the_partitions() -> None:
    """A topic's last partition comes before the next topic's first."""
    places = [rank(topic, partition) for topic in range(3) for partition in (0, 1, 9_999)]
    assert places == sorted(set(places))
