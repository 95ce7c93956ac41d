"""The laws of kinds of state: every kind keeps them, and one that does not is found out."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from stream_app.features import kinds
from stream_app.features.kinds import DecayedSums, State, Update, Values
from stream_app.testing.laws import check_state
from tests.unit.features.kinds.every import CASES, Case

SUMS = DecayedSums(100.0, ("amount",))
UPDATES = st.tuples(st.floats(0, 1e3), st.floats(0, 1e3))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kind.describe()["kind"])
def test_every_kind_keeps_the_laws(case: Case) -> None:
    """Merge order, twice is not once, packing, checks, copies and reads."""
    check_state(case.kind, case.updates, reads=case.reads, examples=25)


def test_every_kind_is_held_to_them() -> None:
    """A kind that is added is added there."""
    found = {each for name in kinds.__all__ if hasattr(each := getattr(kinds, name), "describe")}
    assert {type(case.kind) for case in CASES} == found - {State}


class _Kind(DecayedSums):
    """A kind that keeps the laws, for its mistakes to be made in."""


class _Undescribed(_Kind):
    def describe(self) -> dict[str, Any]:
        return {"kind": _Kind}


class _Unchecked(_Kind):
    def check(self, updates: Any) -> None:
        """Takes everything."""


class _Growing(_Kind):
    format = "4d"  # type: ignore[assignment]

    def apply(self, state: Values, update: Update, rank: int, offset: int) -> None:  # type: ignore[override]
        state.append(update[1])


class _Rounded(_Kind):
    format = "ddf"  # type: ignore[assignment]


class _Newest(_Kind):
    def apply(self, state: Values, update: Update, rank: int, offset: int) -> None:  # type: ignore[override]
        state[0], state[2] = update[0], update[1]


class _NotFenced(_Kind):
    """Its text changes what the engine decides by."""

    @property
    def apply(self) -> Any:  # type: ignore[override]
        return kinds.Statements([*SUMS.apply.lines, "offset = -1"])  # type: ignore[attr-defined]


class _Nested(_Kind):
    format = "dd24s"  # type: ignore[assignment]

    def empty(self) -> Values:
        return [0.0, 0.0, bytearray(24)]

    def apply(self, state: Values, update: Update, rank: int, offset: int) -> None:  # type: ignore[override]
        state[2] = bytearray(state[2])
        state[2][offset % 24] = 1

    def agrees(self, left: Any, right: Any) -> bool:
        return True


class _NestedInPlace(_Nested):
    def apply(self, state: Values, update: Update, rank: int, offset: int) -> None:  # type: ignore[override]
        if not isinstance(state[2], bytearray):
            state[2] = bytearray(state[2])
        state[2][offset % 24] = 1


def _changes_the_state(state: Values | None, at: float) -> float:
    if state is not None:
        state[0] += 1.0
    return 1.0


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        (_Undescribed, "not JSON serializable"),
        (_Unchecked, "check\\(\\) takes the update"),
        (_Growing, "not as wide as `width` says"),
        (_Rounded, "packed between its updates is another one"),
        (_Newest, "another interleaving leaves another state"),
        (_NotFenced, "read again was counted again"),
        (_NestedInPlace, "changes a value in place"),
    ],
)
def test_a_kind_that_breaks_a_law_is_found_out(kind: Callable[..., State], law: str) -> None:
    """The message names the law."""
    with pytest.raises((AssertionError, TypeError), match=law):
        check_state(kind(100.0, ("amount",)), UPDATES)


@pytest.mark.parametrize(
    ("read", "law"),
    [
        (_changes_the_state, "a read changes the state"),
        (lambda state, at: None, "no number and no text"),
        (lambda state, at: math.nan if state[0] else 0.0, "not subscriptable"),
    ],
    ids=["changes", "gives nothing", "wants a state"],
)
def test_a_read_that_breaks_a_law_is_found_out(read: Any, law: str) -> None:
    """What is absent has to be readable, and reading changes nothing."""
    with pytest.raises((AssertionError, TypeError), match=law):
        check_state(SUMS, UPDATES, reads=[read])
