"""Packed states: nothing is lost, and a state that means something else has another layout."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.engine.engine import EntityState
from stream_app.features.kinds import DecayedSums, LastValue, OpenItems
from stream_app.features.stores.codec import VERSION_BYTES, StateCodec, layout_of, version_bytes
from stream_app.features.views import Entity, View
from tests.unit.features.builders import FEATURES, bits, examples

ORDERS, LAST, OPEN = FEATURES.views

_u64 = st.integers(0, 2**64 - 1)
_doubles = st.floats(width=64)  # NaN and the infinities among them
_fences = st.dictionaries(st.integers(0, 2**32 - 1), st.integers(-1, 2**63 - 1), max_size=300)


def _values(view: View) -> st.SearchStrategy[list[Any]]:
    width = view.state.width
    if isinstance(view.state, OpenItems):
        counters = st.lists(
            st.integers(-(2**31), 2**31 - 1), min_size=width - 1, max_size=width - 1
        )
        return st.tuples(st.integers(-(2**62), 2**62), counters).map(lambda v: [v[0], *v[1]])
    return st.lists(_doubles, min_size=width, max_size=width)


def plain(state: EntityState) -> Any:
    """All that is packed of a state, to compare bit for bit."""
    fences = list(state.fences.items())
    return bits([state.version, state.count, state.digest, state.newest, state.values, fences])


def held(*parts: Any) -> EntityState:
    """A state of these parts, the last of them its fences."""
    state = EntityState(*parts[:-1])
    state.fences.update(parts[-1])
    return state


@examples
@given(st.sampled_from(FEATURES.views), st.data())
def test_what_was_packed_unpacks_the_same(view: View, data: st.DataObject) -> None:
    """Bit for bit, NaN, infinities and any number of fences included; states do not mix."""
    codec = StateCodec(view)
    states = [
        held(
            data.draw(_u64), data.draw(_u64), data.draw(_u64), data.draw(_doubles),
            data.draw(_values(view)), data.draw(_fences),
        )
        for _ in range(data.draw(st.integers(0, 3)))
    ]  # fmt: skip
    unpacked = codec.unpack([codec.pack(state) for state in states])
    assert [plain(state) for state in unpacked] == [plain(state) for state in states]


@pytest.mark.parametrize("view", FEATURES.views, ids=lambda view: view.name)
def test_the_packed_size_is_the_fixed_part_and_twelve_bytes_a_fence(view: View) -> None:
    """Nothing but the number of sources changes how many bytes a state takes."""
    codec = StateCodec(view)
    sizes = []
    for fences in ({}, {1: 5}, dict.fromkeys(range(1, 257), 2**62)):
        state = held(2**64 - 1, 7, 9, math.nan, view.state.empty(), fences)
        sizes.append(len(codec.pack(state)))
    assert [size - sizes[0] for size in sizes] == [0, 12, 256 * 12]


def test_a_digest_is_packed_modulo_two_to_the_64() -> None:
    """Sums in memory may grow beyond; only what they are modulo 2**64 means anything."""
    codec = StateCodec(ORDERS)
    state = EntityState(1, 2, 2**64 + 5, 0.0, ORDERS.state.empty())
    assert codec.unpack([codec.pack(state)])[0].digest == 5


def test_the_version_leads() -> None:
    """The store's script compares the first bytes; "not there" is no bytes at all."""
    state = EntityState(258, 0, 0, 0.0, ORDERS.state.empty())
    packed = StateCodec(ORDERS).pack(state)
    assert [packed[:VERSION_BYTES], b""] == version_bytes([258, 0])


@pytest.mark.parametrize(
    "other",
    [
        replace(ORDERS, state=DecayedSums(7200.0, ("amount",))),
        replace(ORDERS, state=DecayedSums(3600.0, ("price",))),
        replace(ORDERS, state=DecayedSums(3600.0, ("amount", "rating"))),
        replace(ORDERS, state=LastValue(("amount",))),
        replace(ORDERS, state=OpenItems(600.0)),
        replace(ORDERS, entity=Entity("city", ORDERS.entity.key)),
    ],
    ids=["half-life", "name of a sum", "further sum", "kind", "another kind", "entity"],
)
def test_a_changed_state_has_another_layout(other: View) -> None:
    """Kind, parameters and entity are part of it, so that no state is misread."""
    assert layout_of(other) != layout_of(ORDERS)


def test_parameters_of_a_ring_are_part_of_its_layout() -> None:
    """Slots of the same number and another length are something else."""
    wider = replace(OPEN, state=OpenItems(1200.0, 120.0))
    assert layout_of(wider) != layout_of(OPEN)


def test_what_is_read_from_a_state_is_no_part_of_its_layout() -> None:
    """A column more, another ttl or another doc keeps the states."""
    other = replace(LAST, columns=LAST.columns[:1], ttl_seconds=5.0, doc="New.")
    assert layout_of(other) == layout_of(LAST)


def test_a_changed_function_of_the_updates_has_another_layout() -> None:
    """Else old states, of which the log knows nothing any more, would be read as if of the new one."""
    event, update = next(iter(LAST.on.items()))
    changed = replace(LAST, on={event: lambda e: None if e.event_time < 0.0 else update(e)})
    renamed = replace(LAST, entity=replace(LAST.entity, key=lambda e: "all"))
    assert len({layout_of(view) for view in (LAST, changed, renamed)}) == 3


def test_a_function_written_in_another_way_keeps_the_states() -> None:
    """Lines and comments mean nothing."""
    one = replace(LAST, on=dict.fromkeys(LAST.on, lambda e: (e.event_time, 1.0)))
    other = replace(
        LAST,
        on=dict.fromkeys(
            LAST.on,
            lambda e: (
                e.event_time,
                1.0,  # of no meaning
            ),
        ),
    )
    assert layout_of(one) == layout_of(other)
