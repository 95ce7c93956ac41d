"""Turns in compiled code: the same order keys, and the same accounts, as in Python."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_app.alignment.lane import Held, Lane
from stream_app.alignment.turns import Keyed, hold_in_python, keyed_in_python
from stream_app.compiled import compiled_module
from stream_app.features.engine.order import OrderInPython
from tests.unit.builders import item, partition

module = compiled_module("turns")
pytestmark = pytest.mark.skipif(module is None, reason="nothing is compiled here")
slower = settings(deadline=None)

# Few moments, so that many are the same; some a decoder gives as integers.
_MOMENTS = st.one_of(st.integers(-2, 3), st.sampled_from([-math.inf, 0.5, 1.0, 2.0, 1e300]))
_TIMES = st.lists(st.tuples(_MOMENTS, st.one_of(st.none(), _MOMENTS)), max_size=30)


@slower
@given(_TIMES, st.integers(0, 3))
def test_a_partition_has_the_same_keys_and_bounds(
    times: list[tuple[float, float | None]], rank: int
) -> None:
    """Whatever its moments are, of the same values and types."""
    orders = [OrderInPython(rank), module.PartitionOrder(rank)]
    for offset, (known_at, event_time) in enumerate(times):
        happened = -math.inf if event_time is None else event_time
        assert len({repr(each.bound) for each in orders}) == 1
        assert len({repr(each.key(known_at, happened, offset)) for each in orders}) == 1
    assert len({repr((each.bound, each.rank)) for each in orders}) == 1


@slower
@given(_TIMES, _MOMENTS)
def test_the_same_is_held(times: list[tuple[float, float | None]], known_at: float) -> None:
    """Behind the same running maximum, and of the same size."""
    p = partition()
    records = [item(p, n, known_at=at, size=n).record for n, (at, _) in enumerate(times)]
    held: list[list[Held]] = [[], []]
    told = [
        hold(iter(records), to, known_at, 7)
        for hold, to in zip((hold_in_python, module.hold), held, strict=True)
    ]
    assert repr(told[0]) == repr(told[1])
    assert repr(held[0]) == repr(held[1])


def _keyed(
    keyed: Any, order: Any, times: Sequence[tuple[float, float | None]], room: int
) -> tuple[int, str]:
    """What comes of items of three partitions, with places for the records' names."""
    partitions = [partition(number) for number in range(3)]
    lanes = {}
    for p in partitions:
        lanes[p] = Lane(p)
        lanes[p].order = order(p.rank)
    items = []
    for n, (at, happened) in enumerate(times):
        each = item(partitions[n % 3], n, known_at=at, event_time=happened or 0.0)
        if happened is None:
            each.event = None  # type: ignore[assignment]
        items.append(each)
    tied: list[Keyed] = []
    decoded = keyed(items, tied, lanes, room)
    names = [(*each[:4], each[4] is not None, each[5].offset) for each in tied]
    assert all(each[4] in (None, items[at]) for at, each in enumerate(tied))
    return decoded, repr((names, [lane.order.bound for lane in lanes.values()]))


@slower
@given(_TIMES, st.integers(0, 40))
def test_decoded_records_are_put_behind_the_same_keys(
    times: list[tuple[float, float | None]], room: int
) -> None:
    """As many of them with their items."""
    in_python = _keyed(keyed_in_python, OrderInPython, times, room)
    assert _keyed(module.keyed, module.PartitionOrder, times, room) == in_python
