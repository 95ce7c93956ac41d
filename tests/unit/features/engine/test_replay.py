"""The replay is the served path: same engine, same order, same bits."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.engine.replay import LoggedEvent, Replay, in_sequence, replay
from stream_app.features.views import Column, FeatureSet
from stream_app.text.causes import FeatureError
from tests.unit.features.builders import (
    FEATURES,
    Delivered,
    InMemory,
    Stored,
    bits,
    delivered,
    examples,
    logged,
    logs,
    ordered,
    sizes,
)


@examples
@given(logs(), sizes())
def test_the_replay_gives_what_serving_through_a_store_gives(
    log: list[LoggedEvent], by: list[int]
) -> None:
    """Bit for bit, though serving packs, writes and reads every state after every batch."""
    served = Stored().take(log, by)
    assert bits([row.values for row in Replay(FEATURES)(log)]) == bits(served)


@examples
@given(logs(), st.integers(1, 9))
def test_the_block_changes_no_value(log: list[LoggedEvent], block: int) -> None:
    """Blocks are for speed."""
    whole = [row.values for row in Replay(FEATURES)(log)]
    assert bits([row.values for row in Replay(FEATURES)(log, block)]) == bits(whole)


@examples
@given(logs(), st.integers(0, 25))
def test_what_comes_later_changes_no_earlier_row(log: list[LoggedEvent], length: int) -> None:
    """A log cut short gives the same rows up to the cut: nothing is read from the future."""
    whole = bits([row.values for row in Replay(FEATURES)(log)])
    short = bits([row.values for row in Replay(FEATURES)(log[:length])])
    assert whole[: len(short)] == short


def test_a_replay_goes_on_from_where_it_was() -> None:
    """Two logs in turn leave the states of one."""
    log = [logged(ordered(float(n)), 0, n) for n in range(4)]
    in_two = Replay(FEATURES)
    rows = [*in_two(log[:2]), *in_two(log[2:])]
    assert bits([row.values for row in rows]) == bits([r.values for r in Replay(FEATURES)(log)])
    memory = InMemory()
    memory.take(log)
    assert in_two.tables[0]["north"].count == memory.tables[0]["north"].count == 4


def test_freshness_is_event_time_minus_the_newest_one_read() -> None:
    """None where no state was known."""
    log = [ordered(5.0), delivered(8.0), ordered(10.0)]
    assert [row.freshness_seconds for row in replay(FEATURES, log)] == [None, 2.0]


def test_a_log_in_sequence_skips_no_event() -> None:
    """Its events are numbered, so that the fences take each of them once."""
    replayed = Replay(FEATURES)
    assert len(list(replayed(in_sequence(ordered(1.0) for _ in range(5))))) == 5
    assert replayed.tables[0]["north"].count == 5


def test_an_event_that_cannot_be_evaluated_ends_the_replay() -> None:
    """A training matrix with holes would be worse than none."""
    incomplete = Delivered.model_construct(event_id="x", event_time=1.0)
    del incomplete.__dict__["shop"]
    with pytest.raises(
        FeatureError, match="the key of entity shop: AttributeError 'shop' in"
    ) as raised:
        list(Replay(FEATURES)([logged(incomplete)]))
    assert isinstance(raised.value.__cause__, AttributeError)


def test_a_column_that_raises_is_named() -> None:
    """And what it raised is shown as its cause."""

    def read(state: object, at: float) -> float:
        return 0.0 if state is None else 1 / 0

    (orders, *_) = FEATURES.views
    column = Column("own", read, "", "Raises.")
    broken = FeatureSet(replace(orders, columns=(column,)), triggers=FEATURES.triggers)
    with pytest.raises(FeatureError, match="column own: ZeroDivisionError in read"):
        list(replay(broken, [ordered(5.0), ordered(6.0)]))


def test_a_shop_never_seen_has_missing_columns() -> None:
    """Counts are 0, means and ages NaN."""
    (row,) = replay(FEATURES, [ordered(5.0, "new")])
    assert row.values[0] == 0.0
    assert all(math.isnan(value) for value in row.values[1:6])
