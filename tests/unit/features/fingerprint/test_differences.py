"""Two declarations, and what differs between them in words for whoever deploys one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stream_app.features.fingerprint.differences import differences
from stream_app.features.fingerprint.functions import NO_SOURCE
from stream_app.features.kinds import DecayedSums
from stream_app.features.views import Column, Derived, Entity, FeatureSet, RowFeature, View
from tests.unit.features.builders import Delivered, Ordered

SUMS = DecayedSums(3600.0, ("amount",))
VIEW = View(
    "spend",
    Entity("shop", lambda event: event.shop),
    SUMS,
    {Ordered: lambda event: (event.event_time, event.amount)},
    (Column("mean", SUMS.mean("amount"), "EUR", "Mean."), Column("n", SUMS.count(), "", "Number.")),
    ttl_seconds=60.0,
)
ROW = RowFeature("amount", lambda event: event.amount, "EUR", "Amount.")
Z = Derived("z", lambda event, columns: event.amount / columns.mean, "1", "Relative.")
FEATURES = FeatureSet(VIEW, ROW, Z, triggers=(Ordered,))


def view(**changes: Any) -> FeatureSet:
    """The declaration with another view."""
    return replace(FEATURES, views=(replace(VIEW, **changes),))


CHANGES: dict[str, tuple[FeatureSet, list[str]]] = {
    "parameter": (
        view(state=DecayedSums(7200.0, ("amount",))),
        ["view spend: half_life_seconds was 3600, is 7200"],
    ),
    "key": (
        view(entity=Entity("shop", lambda event: event.shop or "none")),
        ["view spend: the key of entity shop changed"],
    ),
    "entity": (
        view(entity=Entity("city", lambda event: event.shop)),
        ["view spend: entity was shop, is city"],
    ),
    "update": (
        view(on={Ordered: lambda event: (event.event_time, 1.0)}),
        ["view spend: the update by Ordered changed"],
    ),
    "events": (
        view(on={**VIEW.on, Delivered: lambda event: None}),
        ["view spend: the events that update it were Ordered, are Delivered, Ordered"],
    ),
    "ttl": (view(ttl_seconds=None), ["view spend: ttl_seconds was 60, is none"]),
    "column": (
        view(columns=(replace(VIEW.columns[0], read=SUMS.age()), VIEW.columns[1])),
        ["column mean: its function changed"],
    ),
    "dtype": (
        replace(FEATURES, row_features=(replace(ROW, dtype="float64"),)),
        ["row feature amount: dtype was float32, is float64"],
    ),
    "derived": (
        replace(FEATURES, derived=(replace(Z, compute=lambda event, columns: 1.0, unit="EUR"),)),
        ["derived column z: unit was 1, is EUR", "derived column z: its function changed"],
    ),
    "gone and new": (
        FeatureSet(replace(VIEW, name="sales"), triggers=(Ordered, Delivered)),
        [
            "view spend is gone",
            "view sales is new",
            "row feature amount is gone",
            "derived column z is gone",
            "the events that ask for a prediction were Ordered, are Delivered, Ordered",
        ],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_told_by_the_name_of_what_changed(name: str) -> None:
    """And changes the fingerprint."""
    changed, told = CHANGES[name]
    assert differences(FEATURES.describe(), changed.describe()) == told
    assert changed.fingerprint() != FEATURES.fingerprint()


def test_what_changes_no_value_is_no_difference() -> None:
    """Order, documentation, and functions that are written again."""
    again: Callable[[Any], Any] = lambda event: event.amount  # noqa: E731
    same = replace(
        FEATURES,
        views=(replace(VIEW, columns=VIEW.columns[::-1], doc="More."),),
        row_features=(replace(ROW, compute=again, doc="Other words."),),
    )
    assert differences(FEATURES.describe(), same.describe()) == []
    assert same.fingerprint() == FEATURES.fingerprint()


def test_a_function_without_source_is_held_against_nothing() -> None:
    """Nobody knows whether it changed; golden events tell."""
    names: dict[str, Any] = {"__name__": "prompt"}
    exec("compute = lambda event: 7.0", names)
    unknown = replace(FEATURES, row_features=(replace(ROW, compute=names["compute"]),))
    assert unknown.describe()["row_features"][0]["function"] == NO_SOURCE
    assert differences(FEATURES.describe(), unknown.describe()) == []
    assert differences(unknown.describe(), FEATURES.describe()) == []
