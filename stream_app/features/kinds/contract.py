"""What a kind of state is: fixed-width values that events update and columns read.

Every kind obeys these laws; `stream_app.testing.laws.check_state` holds one to them:

- any interleaving of partitions leaves the same state (floating-point sums within 1e-9);
- its packed width never changes, so that a store can hold it as one string;
- reading changes nothing, and an absent state reads as "nothing known".

That a record which is read twice counts once is no kind's concern: the engine keeps a fence a source
beside each state.

A state in memory is a plain list: the arithmetic runs a few times per event on the hot path, online
and offline, and lists are what Python is fastest at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

__all__ = [
    "Apply", "InvalidUpdateError", "Read", "State", "StateOverflowError", "Update", "Values",
]  # fmt: skip

#: A state in memory: numbers and bytes. What changes is replaced, never changed itself, because a
#: copy of the list has to be a copy of the state.
Values = list[Any]

#: One update: the event time it carries (seconds), then what the kind of state takes.
Update = tuple[Any, ...]

#: Reads one column of a state at a moment: (state or None, seconds) -> number or text.
Read = Callable[[Values | None, float], Any]

#: Takes one update in, in place: (state, update, rank, offset); rank and offset break ties.
Apply = Callable[[Values, Update, int, int], None]


class StateOverflowError(ValueError):
    """A state holds what its packed form cannot, or a sum that is not finite any more.

    The text quotes nothing of it.
    """


class InvalidUpdateError(ValueError):
    """An update is not what its kind of state takes; the text quotes nothing of it."""


class State(Protocol):
    """What a kind of state offers to the feature engine."""

    @property
    def width(self) -> int:
        """Values in the state."""

    @property
    def format(self) -> str:
        """`struct` codes of the values, little-endian, e.g. ``"4d"``."""

    def describe(self) -> dict[str, Any]:
        """Kind and parameters, for the definition's fingerprint."""

    def empty(self) -> Values:
        """A state before its first update."""

    def check(self, updates: Iterable[Update | None]) -> None:
        """Raise `ValueError` unless each update is what `apply` takes: one NaN would stay."""

    @property
    def apply(self) -> Apply:
        """Takes one update in, in place; a method, or `Statements` to be compiled in."""

    # A kind may also have
    # - `fields`: names of an update's values after its time. Then a view may name an event type alone,
    #   whose fields of these names are taken.
    # - `sums_up = True`: its values are numbers, and all but the first are finite unless a sum has
    #   overflowed; a state with one that is not is never written.
    # - `agrees(left, right)`: whether two states hold the same updates, taken in different orders.
    #   Without it, numbers may differ by 1e-9 of their size.
