"""Counts, sums, means and extremes over sliding and tumbling windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Final, NamedTuple

from stream_app.features.kinds.agreement import agree
from stream_app.features.kinds.checks import (
    check_fields,
    check_numbers,
    check_seconds,
    check_slots,
    place_of,
)
from stream_app.features.kinds.compiled import Statements, named
from stream_app.features.kinds.contract import Apply, InvalidUpdateError, Read, Update, Values
from stream_app.features.kinds.ring import NO_SLOT, Ring

__all__ = ["Windows"]

_BEYOND: Final = 1e300
"""The least value of an empty slot; the greatest one is its negative. Finite, because a state with a
number that is not is one whose sum has overflowed."""


@dataclass(frozen=True)
class Windows:
    """Count, sums and extremes of the last `window_seconds`, in a ring of `slots` slots of time:
    {newest slot, a count a slot, a sum a slot ..., least and greatest a slot ...}.

    Update: ``(time, value, ...)``, a number for each of `fields`: the names of `sums`, then those
    of `extremes` that are not among them. What is older than the window is not counted.
    Reads: `count`, `sum`, `mean`, `minimum` and `maximum`, each over the whole window or fewer
    seconds of it, and up to the moment of the read or up to some seconds `ago`. Windows slide by
    slots: one of n slots ends with the slot of the moment, which is not over yet, so it covers
    between n - 1 and n slots. With one slot the window is tumbling: ``Windows(DAY, slots=1)`` counts
    since midnight UTC; and with two, ``count(DAY, ago=DAY)`` is the count of yesterday.
    Error: when something happened is known by its slot; counts are exact, sums as of floating point.
    Memory: 8 bytes packed, and for each slot and one spare slot 4 bytes, 8 a sum, and 16 for the
    extremes of a field.

    >>> MINUTE = 60.0
    >>> state = Windows(60 * MINUTE, slots=60, sums=("amount",), extremes=("amount",))
    >>> held = state.empty()
    >>> for offset, (minute, amount) in enumerate([(0, 5.0), (30, 1.0), (59, 2.0)]):
    ...     state.apply(held, (minute * MINUTE, amount), 0, offset)
    >>> now = 60 * MINUTE  # the first minute has just left the window
    >>> state.count()(held, now), state.sum("amount")(held, now), state.maximum("amount")(held, now)
    (2.0, 3.0, 2.0)
    >>> state.count(10 * MINUTE)(held, now), state.count(10 * MINUTE, ago=25 * MINUTE)(held, now)
    (1.0, 1.0)
    """

    window_seconds: float
    slots: int = 60
    sums: tuple[str, ...] = ()
    extremes: tuple[str, ...] = ()

    sums_up: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Raise `ValueError` for parameters that make no state."""
        check_seconds(self, window_seconds=self.window_seconds)
        check_fields(self, self.sums)
        check_fields(self, self.extremes)
        if self.slots < 1:
            raise ValueError(f"slots of Windows is {self.slots}: give 1 or more")

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of an update's values, in their order."""
        return tuple(dict.fromkeys((*self.sums, *self.extremes)))

    @property
    def _ring(self) -> Ring:
        # One slot to spare, so that a read up to one slot late finds its whole window.
        return Ring(self.window_seconds / self.slots, self.slots + 1)

    @property
    def _rows(self) -> int:
        return 1 + len(self.sums) + 2 * len(self.extremes)

    @property
    def width(self) -> int:
        """Numbers in the state."""
        return 1 + self._rows * self._ring.slots

    @property
    def format(self) -> str:
        """`struct` codes of the numbers."""
        kept = self._ring.slots
        return f"q{kept}I{(self._rows - 1) * kept}d"

    def describe(self) -> dict[str, Any]:
        """Kind and parameters."""
        return {
            "kind": "windows",
            "window_seconds": float(self.window_seconds),
            "slots": self.slots,
            "sums": list(self.sums),
            "extremes": list(self.extremes),
        }

    def empty(self) -> Values:
        """No updates yet: the newest slot lies before every time."""
        blanks = [0, *(0.0 for _ in self.sums), *((_BEYOND, -_BEYOND) * len(self.extremes))]
        return [NO_SLOT, *(blank for blank in blanks for _ in range(self._ring.slots))]

    def check(self, updates: Iterable[Update | None]) -> None:
        """Raise `ValueError` unless each update has a time and a value a field, all finite numbers;
        extremes are kept of numbers within 1e300 of zero, and slots of times within 2**61 of them."""
        updates = list(updates)
        check_numbers(updates, 1 + len(self.fields))
        check_slots(updates, self._ring.slot_seconds)
        if self.extremes and any(
            abs(value) >= _BEYOND for update in updates for value in update or ()
        ):
            raise InvalidUpdateError(f"a value of an update is not within {_BEYOND} of zero")

    def agrees(self, left: Sequence[Any], right: Sequence[Any]) -> bool:
        """Whether two states hold the same updates: sums nearly, all else exactly."""
        kept = self._ring.slots
        return agree(left, right, rounded=range(1 + kept, 1 + kept * (1 + len(self.sums))))

    @cached_property
    def apply(self) -> Apply:
        """Takes ``(time, value, ...)`` in; time in seconds."""
        kept = self._ring.slots
        value_of = {name: f"value{at}" for at, name in enumerate(self.fields)}
        blanks, take = ["0"], ["v[slot] += 1"]
        for name in self.sums:
            take.append(f"v[slot + {len(blanks) * kept}] += {value_of[name]}")
            blanks.append("0.0")
        for name in self.extremes:
            for blank, is_beyond in ((f"{_BEYOND!r}", "<"), (f"{-_BEYOND!r}", ">")):
                place, value = f"v[slot + {len(blanks) * kept}]", value_of[name]
                take += [f"if {value} {is_beyond} {place}:", f"    {place} = float({value})"]
                blanks.append(blank)
        values = "".join(f"{value}, " for value in value_of.values())
        places = [
            [self.fields.index(name) for name in names] for names in (self.sums, self.extremes)
        ]
        return Statements(
            [f"time, {values}= update", *self._ring.lines(blanks, take)],
            operation=("windows", (float(self._ring.slot_seconds), kept, *places)),
        )

    def count(self, seconds: float | None = None, *, ago: float = 0.0) -> Read:
        """Number of updates; 0 where nothing is known.

        Here and below `seconds` is the length of the window, by default all of `window_seconds`, and
        `ago` how many seconds before the moment of the read it ends. Both are whole slots.
        """
        return self._read(_Reading("count", 0, _total, 0.0), seconds, ago)

    def sum(self, name: str, seconds: float | None = None, *, ago: float = 0.0) -> Read:
        """Sum of a field, in its unit; 0 where nothing is known."""
        row = 1 + place_of(self, self.sums, name)
        return self._read(_Reading("sum", row, _total, 0.0), seconds, ago)

    def mean(self, name: str, seconds: float | None = None, *, ago: float = 0.0) -> Read:
        """Mean of a field of `sums`, in its unit; missing where the window is empty."""
        count, total = self.count(seconds, ago=ago), self.sum(name, seconds, ago=ago)

        def read(state: Values | None, at: float) -> float:
            updates = count(state, at)
            return total(state, at) / updates if updates else math.nan

        row = 1 + place_of(self, self.sums, name)
        return named(
            f"{total.__qualname__} / {count.__qualname__}",
            read,
            operation=("window-mean", self._compiled(row, *self._slots_of(seconds, ago))),
        )

    def minimum(self, name: str, seconds: float | None = None, *, ago: float = 0.0) -> Read:
        """Least value of a field of `extremes`; missing where the window is empty."""
        row = 1 + len(self.sums) + 2 * place_of(self, self.extremes, name)
        return self._read(_Reading("minimum", row, _least, math.nan), seconds, ago)

    def maximum(self, name: str, seconds: float | None = None, *, ago: float = 0.0) -> Read:
        """Greatest value of a field of `extremes`; missing where the window is empty."""
        row = 2 + len(self.sums) + 2 * place_of(self, self.extremes, name)
        return self._read(_Reading("maximum", row, _greatest, math.nan), seconds, ago)

    def _read(self, reading: _Reading, seconds: float | None, ago: float) -> Read:
        name, row, fold, nothing = reading
        length, back = self._slots_of(seconds, ago)
        values = self._ring.window(length, back)

        def read(state: Values | None, at: float) -> float:
            if state is None:
                return nothing
            found = values(state, at, row)
            return fold(found) if found else nothing

        return named(
            f"Windows.{name}(row {row}, {length} slots, {back} back)",
            read,
            operation=(f"window-{name}", self._compiled(row, length, back)),
        )

    def _compiled(self, row: int, length: int, back: int) -> tuple[float, int, int, int, int]:
        """What `stream_app.compiled` is told of a read."""
        return float(self._ring.slot_seconds), self._ring.slots, row, length, back

    def _slots_of(self, seconds: float | None, ago: float) -> tuple[int, int]:
        length = self._whole_slots(self.window_seconds if seconds is None else seconds)
        back = self._whole_slots(ago)
        if length < 1 or back < 0 or length + back > self.slots:
            raise ValueError(
                f"Windows keeps {self.window_seconds:g} seconds: a window of "
                f"{length * self.window_seconds / self.slots:g} seconds that ended {ago:g} seconds ago "
                "is not within them"
            )
        return length, back

    def _whole_slots(self, seconds: float) -> int:
        slots = seconds * self.slots / self.window_seconds
        if not math.isclose(slots, round(slots), rel_tol=1e-9, abs_tol=1e-9):
            raise ValueError(
                f"{seconds:g} seconds are not a whole number of slots of "
                f"{self.window_seconds / self.slots:g} seconds"
            )
        return round(slots)


class _Reading(NamedTuple):
    name: str
    row: int
    fold: Callable[[Values], float]
    nothing: float


def _total(values: Values) -> float:
    return float(sum(values))


def _least(values: Values) -> float:
    return _known(min(values))


def _greatest(values: Values) -> float:
    return _known(max(values))


def _known(value: float) -> float:
    return value if -_BEYOND < value < _BEYOND else math.nan
