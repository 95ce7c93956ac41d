"""Derived columns see the event and the columns read for it, the same online and offline."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from stream_app.features.engine.careful import advance_carefully
from stream_app.features.engine.engine import FeatureEngine
from stream_app.features.engine.plans import Plan
from stream_app.features.engine.replay import LoggedEvent, Replay, replay
from stream_app.features.views import Derived, Entity, FeatureSet, RowFeature
from stream_app.text.causes import FeatureError
from tests.unit.features.builders import (
    FEATURES,
    InMemory,
    Ordered,
    Stored,
    bits,
    contents,
    cut,
    delivered,
    examples,
    logged,
    logs,
    ordered,
    sizes,
)

DERIVED = (
    Derived(
        "share", lambda event, columns: event.amount / columns.mean_amount, "1", "Of the mean."
    ),
    Derived("twice", lambda event, columns: 2 * columns.share, "1", "Of one derived before."),
    Derived("place", lambda event, columns: f"{columns.shop}!", "", "Text.", "string"),
    Derived("known", lambda event, columns: columns.orders > 0.0, "", "Whether.", "bool"),
    Derived("floor", lambda event, columns: int(columns.amount), "", "Whole.", "int64"),
)
DERIVING = replace(FEATURES, derived=DERIVED)


def deriving(*derived: Derived, **changes: Any) -> FeatureSet:
    """The declaration with these derived columns."""
    return replace(FEATURES, derived=derived, **changes)


def test_they_stand_after_all_other_columns() -> None:
    """In the order in which they were declared, with their dtypes."""
    names = [column.name for column in DERIVED]
    assert DERIVING.columns == (*FEATURES.columns, *names)
    assert [DERIVING.dtypes[name] for name in names] == [
        "float32", "float32", "string", "bool", "int64",
    ]  # fmt: skip
    assert [column.name for column in DERIVING.catalogue()] == list(DERIVING.columns)


def test_each_sees_the_event_and_the_columns_before_it() -> None:
    """Those of views, row features, and derived ones that stand before it."""
    first, second = replay(DERIVING, [ordered(5.0, amount=2.5), ordered(6.0, amount=5.0)])
    assert bits(first.values[-5:]) == bits([math.nan, math.nan, "north!", False, 2])
    assert second.values[-5:] == [2.0, 4.0, "north!", True, 5]


@examples
@given(logs(), sizes())
def test_the_served_columns_are_those_of_training(
    log: Sequence[LoggedEvent], by: Sequence[int]
) -> None:
    """Bit for bit, whatever the batches, and over a store."""
    offline = [row.values for row in Replay(DERIVING)(log)]
    assert bits(InMemory(DERIVING).take(log, by)) == bits(offline)
    assert bits(Stored(features=DERIVING).take(log, by)) == bits(offline)
    plain = [row.values for row in Replay(FEATURES)(log)]
    assert bits([row[: -len(DERIVED)] for row in offline]) == bits(plain)


MISSING: dict[str, tuple[Derived, Any]] = {
    "division": (Derived("z", lambda e, f: 1.0 / 0.0, "", ""), math.nan),
    "division, double": (Derived("z", lambda e, f: 1 // 0, "", "", "float64"), math.nan),
    "division, text": (Derived("z", lambda e, f: f"{1 / 0}", "", "", "string"), ""),
    "None": (Derived("z", lambda e, f: None, "", ""), math.nan),
    "None, text": (Derived("z", lambda e, f: None, "", "", "string"), ""),
    "arithmetic": (Derived("z", lambda e, f: (e.amount - f.mean_amount) / 2, "", ""), math.nan),
}


@pytest.mark.parametrize("how", MISSING)
def test_what_is_missing_is_one_value_of_each_dtype(how: str) -> None:
    """NaN of floats, which goes through arithmetic, and the empty text."""
    column, expected = MISSING[how]
    (row,) = replay(deriving(column), [ordered(5.0)])
    assert bits(row.values[-1]) == bits(expected)


def test_none_is_missing_in_row_features_and_in_columns_of_an_own_function() -> None:
    """Before a derived column reads it; also where each record is evaluated alone."""
    (orders, *_) = FEATURES.views
    own = replace(orders.columns[0], name="own", read=lambda state, at: None)
    features = FeatureSet(
        replace(orders, columns=(own,)),
        RowFeature("nothing", lambda event: None, "", ""),
        RowFeature("no_text", lambda event: None, "", "", "string"),
        RowFeature("picky", lambda event: 1 / event.amount, "", ""),
        Derived("sum", lambda event, f: f.own + f.nothing + len(f.no_text), "", ""),
        triggers=Ordered,
    )
    alone = [logged(ordered(5.0, amount=2.0), 0, 0), logged(ordered(6.0, amount=0.0), 0, 1)]
    for log, picky in ((alone[:1], 0.5), (alone, 0.5)):
        (row,) = InMemory(features).take(log)
        assert bits(row) == bits([math.nan, math.nan, "", picky, math.nan])


def _fails(event: Ordered, columns: Any) -> float:
    return 1.0 if event.amount != 13.0 else {}[columns.orders]


FAILING = deriving(Derived("fails", _fails, "", "Fails for 13."))


def test_one_that_raises_costs_its_own_record_and_no_other() -> None:
    """It is named with function, file and line, updates nothing, and no state is read again."""
    log = [logged(ordered(5.0 + n, amount=a), 0, n) for n, a in enumerate((1.0, 13.0, 2.0))]
    memory, plain = InMemory(FAILING), InMemory()
    memory.take(log)
    plain.take([log[0], log[2]])
    good, bad, after = memory.arrivals
    assert good.error is after.error is None
    assert bad.row is None
    assert str(bad.error).startswith(
        "column fails: KeyError in _fails (features/engine/test_derived"
    )
    assert bad.error is not None
    assert bad.error.reason == "column-error"
    assert bits(contents(memory.tables)) == bits(contents(plain.tables))
    assert after.row is not None
    assert after.row[:2] == [plain.arrivals[1].row[0], 1.0]  # type: ignore[index]


def test_one_that_raises_is_told_where_records_are_taken_one_by_one() -> None:
    """The state that it would have updated is as it was."""
    engine = FeatureEngine(FAILING)
    tables = engine.tables()
    ((bad,),) = cut([logged(ordered(5.0, amount=13.0))], [1])
    engine.gather([bad])
    advance_carefully(engine, [bad], tables, 0, lambda view, state: None)
    assert str(bad.error).startswith("column fails: KeyError in _fails")
    assert contents(tables) == contents(engine.tables())


def test_one_that_raises_ends_a_replay() -> None:
    """With its name; what it raised is the cause."""
    with pytest.raises(FeatureError, match="column fails: KeyError in _fails") as raised:
        list(replay(FAILING, [ordered(5.0, amount=13.0)]))
    assert isinstance(raised.value.__cause__, KeyError)


def test_a_division_by_zero_fails_where_nothing_stands_for_missing() -> None:
    """An int64 column has no value for it."""
    column = Derived("z", lambda e, f: 1 // 0, "", "", "int64")
    with pytest.raises(FeatureError, match="column z: ZeroDivisionError in <lambda>"):
        list(replay(deriving(column), [ordered(5.0)]))


@pytest.mark.parametrize("name", ["mean_amuont", "later"])
def test_a_column_that_is_not_there_is_told(name: str) -> None:
    """It is misspelt, or stands behind: Python's own sentence is the cause."""
    columns = (
        Derived("z", lambda e, f: getattr(f, name), "", ""),
        Derived("later", lambda e, f: 1.0, "", ""),
    )
    with pytest.raises(FeatureError, match="column z: AttributeError in <lambda>") as raised:
        list(replay(deriving(*columns), [ordered(5.0)]))
    assert name in str(raised.value.__cause__)


def test_events_that_ask_for_nothing_derive_nothing() -> None:
    """And a declaration without derived columns compiles nothing for them."""
    assert list(replay(FAILING, [delivered(5.0)])) == []
    assert Plan(FEATURES, Ordered, lambda view: None).derive is None


def test_an_int_key_is_its_digits() -> None:
    """Online, offline and beside keys of text."""
    shops = {"north": 12, "south": "12"}
    entity = Entity("shop", lambda event: shops.get(event.shop))
    features = FeatureSet(
        *(replace(view, entity=entity) for view in FEATURES.views), triggers=FEATURES.triggers
    )
    log = [logged(ordered(5.0, shop), 0, n) for n, shop in enumerate(("north", "south", None))]
    memory = InMemory(features)
    rows = memory.take(log)
    assert [row[0] for row in rows] == [0.0, 1.0, 0.0]
    assert set(memory.tables[0]) == {"12"}
    alone = InMemory(features)
    failing = [*log, logged(ordered(6.0, ["no", "key"]), 0, 3)]  # type: ignore[arg-type]
    assert bits(alone.take(failing)) == bits(rows)
    assert alone.arrivals[-1].error is not None


@pytest.mark.parametrize(
    "key", [7.5, b"1", True, 10**5_000], ids=["float", "bytes", "bool", "long"]
)
def test_other_keys_are_refused_and_named(key: Any) -> None:
    """A bool is no number here, and a key has a bounded length."""
    features = replace(
        FEATURES, views=(replace(FEATURES.views[0], entity=Entity("odd", lambda event: key)),)
    )
    with pytest.raises(FeatureError, match="the key of entity odd: ") as raised:
        list(replay(features, [ordered(5.0)]))
    assert raised.value.reason == "invalid-key"
