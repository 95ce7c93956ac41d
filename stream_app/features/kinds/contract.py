"""Kinds of state: fixed-width values that events update and feature columns read.

Every kind obeys three laws, which the property tests hold it to:

- any interleaving of partitions leaves the same state (integers exactly, float sums within 1e-9);
- its packed width never changes, so that a store can hold it as one string;
- reading changes nothing, and an absent state reads as "nothing known".

A state in memory is a plain list of numbers: the arithmetic runs a few times per event on the hot
path, online and offline, and lists are what Python is fastest at.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from math import exp2
from typing import Any, ClassVar, Final, Protocol, SupportsFloat

import numpy as np

__all__ = [
    "EXPRESSION_NAMES", "Apply", "DecayedSums", "Formula", "InvalidUpdateError", "LastValue",
    "OpenItems", "Read", "State", "StateOverflowError", "Statements", "Update", "plain_updates",
]  # fmt: skip

#: A state in memory.
Values = list[Any]

#: One update: the event time it carries (seconds), then what the kind of state takes.
Update = tuple[Any, ...]

#: Reads one column of a state at a moment: (state or None, seconds) -> value.
Read = Callable[[Values | None, float], float]

#: Takes one update in, in place: (state, update, rank, offset); rank and offset break ties.
Apply = Callable[[Values, Update, int, int], None]

#: What the text of `Formula` and `Statements` may name besides what they are about.
EXPRESSION_NAMES: Final[dict[str, Any]] = {"exp2": exp2, "nan": math.nan}


class StateOverflowError(ValueError):
    """A state holds what its packed form cannot, or a sum that is not finite any more.

    The text quotes nothing of it.
    """


class InvalidUpdateError(ValueError):
    """An update is not what its kind of state takes; the text quotes nothing of it."""


class Formula:
    """A column as a Python expression over ``v``, the state's numbers, and ``at``, seconds.

    It is a `Read` like any function. As an expression the engine can write it into the function
    it compiles for an event type, where a call a column would cost more than the arithmetic.
    """

    __slots__ = ("_present", "absent", "expression")

    def __init__(self, expression: str, *, absent: str) -> None:
        """`absent`: the value where nothing is known, as an expression as well."""
        self.expression = expression
        self.absent = absent
        text = f"lambda v, at: {absent} if v is None else {expression}"
        self._present: Read = eval(text, dict(EXPRESSION_NAMES))  # noqa: S307  our own text

    def __call__(self, state: Values | None, at: float) -> float:
        """The column's value."""
        return self._present(state, at)


class Statements:
    """An update as Python statements over ``v``, the state's numbers, ``update``, and its ``rank``
    and ``offset``.

    It is an `Apply` like any function, and text for the same reason as a `Formula`.
    """

    __slots__ = ("_apply", "lines")

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        names = dict(EXPRESSION_NAMES)
        text = "def apply(v, update, rank, offset):\n    " + "\n    ".join(self.lines)
        exec(text, names)  # noqa: S102  our own text
        self._apply: Apply = names["apply"]

    def __call__(self, state: Values, update: Update, rank: int, offset: int) -> None:
        """Take the update in, in place."""
        self._apply(state, update, rank, offset)


class State(Protocol):
    """What a kind of state offers to the feature engine."""

    @property
    def width(self) -> int:
        """Numbers in the state."""

    @property
    def format(self) -> str:
        """`struct` codes of the numbers, little-endian, e.g. ``"4d"``."""

    def describe(self) -> dict[str, Any]:
        """Kind and parameters, for the definition's fingerprint."""

    def empty(self) -> Values:
        """A state before its first update."""

    def check(self, updates: Iterable[Update | None]) -> None:
        """Raise `ValueError` unless each update is what `apply` takes: one NaN would stay."""

    @property
    def apply(self) -> Apply:
        """Takes one update in, in place; a method, or `Statements` to be compiled in."""

    # A kind may also have `sums_up = True`: its numbers, the first apart, are finite unless a sum
    # has overflowed, and a state with one that is not is never written.


_NO_VALUE: Final = (-1.0, -1.0, math.nan)

_NUMBERS: Final = frozenset({float, int})

_AGE: Final = Formula("float(at - v[0]) if at > v[0] else 0.0", absent="nan")


@dataclass(frozen=True)
class DecayedSums:
    """Exponentially decayed count and sums: {t, n, sum, ...}.

    An update ``(time, addend, ...)`` counts one and adds each addend; everything loses half its
    weight every `half_life_seconds`. A late update decays its addend, never the state, so order
    matters only in the last bits of the sums. A read before t uses age 0.

    Forward decay after Cormode et al., "Forward Decay: A Practical Time Decay Model for Streaming
    Systems" (ICDE 2009).
    """

    half_life_seconds: float
    sums: tuple[str, ...] = ()

    sums_up: ClassVar[bool] = True

    @property
    def width(self) -> int:
        """Numbers in the state."""
        return 2 + len(self.sums)

    @property
    def format(self) -> str:
        """`struct` codes of the numbers."""
        return f"{self.width}d"

    def describe(self) -> dict[str, Any]:
        """Kind and parameters."""
        return {
            "kind": "decayed-sums",
            "half_life_seconds": float(self.half_life_seconds),
            "sums": list(self.sums),
        }

    def empty(self) -> Values:
        """No updates yet: n is 0, t minus infinity."""
        return [-math.inf, 0.0, *(0.0 for _ in self.sums)]

    def check(self, updates: Iterable[Update | None]) -> None:
        """Raise `ValueError` unless each update has a time and an addend a sum, all finite."""
        _check_numbers(updates, 1 + len(self.sums))

    @cached_property
    def apply(self) -> Apply:
        """Takes ``(time, addend, ...)`` in; time in seconds."""
        sums = range(2, self.width)
        return Statements(
            [
                f"time, {''.join(f'addend{at}, ' for at in sums)}= update",
                f"half_lives = (time - v[0]) / {float(self.half_life_seconds)!r}",
                "if half_lives >= 0.0:",
                "    keep = exp2(-half_lives)",
                "    v[0] = time",
                "    v[1] = v[1] * keep + 1.0",
                *(f"    v[{at}] = v[{at}] * keep + addend{at}" for at in sums),
                "else:",
                "    weight = exp2(half_lives)",
                "    v[1] += weight",
                *(f"    v[{at}] += addend{at} * weight" for at in sums),
            ]
        )

    def count(self) -> Read:
        """Decayed number of updates; 0 where nothing is known."""
        decayed = f"v[1] * exp2(-(at - v[0]) / {float(self.half_life_seconds)!r})"
        return Formula(f"{decayed} if at > v[0] else v[1]", absent="0.0")

    def mean(self, name: str) -> Read:
        """Decayed mean of a sum; missing where nothing is known. Decay cancels out."""
        index = 2 + self.sums.index(name)
        return Formula(f"v[{index}] / v[1] if v[1] > 0.0 else nan", absent="nan")

    def age(self) -> Read:
        """Seconds since the newest update; missing where nothing is known, never below 0."""
        return _AGE


@dataclass(frozen=True)
class LastValue:
    """The newest value of each field: {t, (rank, offset, value) a field}.

    An update ``(time, value, ...)`` gives a number or None a field. The greatest time wins, then
    the source's rank and the offset; partial updates of the same time unite field by field; an
    older one changes nothing.
    """

    fields: tuple[str, ...]

    @property
    def width(self) -> int:
        """Numbers in the state."""
        return 1 + 3 * len(self.fields)

    @property
    def format(self) -> str:
        """`struct` codes of the numbers (offsets below 2**53 are exact in a double)."""
        return f"{self.width}d"

    def describe(self) -> dict[str, Any]:
        """Kind and parameters."""
        return {"kind": "last-value", "fields": list(self.fields)}

    def empty(self) -> Values:
        """No updates yet: t is minus infinity."""
        return [-math.inf, *(_NO_VALUE * len(self.fields))]

    def check(self, updates: Iterable[Update | None]) -> None:
        """Raise `ValueError` unless each update has a time and a number or None a field."""
        given = [update for update in updates if update is not None]
        widths = set(map(len, given))
        if widths - {1 + len(self.fields)}:
            raise InvalidUpdateError(
                f"an update has not {1 + len(self.fields)} values, but {max(widths)}"
            )
        values = [value for update in given for value in update if value is not None]
        # Whoever gives text has mistaken a field; `float` would take its digits.
        if not set(map(type, values)) <= _NUMBERS and not all(
            isinstance(value, SupportsFloat) for value in values
        ):
            raise InvalidUpdateError("an update holds something else than numbers and None")
        deque(map(float, values), maxlen=0)  # an integer may be too large for the state
        if not all(math.isfinite(update[0]) for update in given):
            raise InvalidUpdateError("the time of an update is not finite")

    @cached_property
    def apply(self) -> Apply:
        """Takes ``(time, value or None, ...)`` in; time in seconds."""
        places = [(at, f"value{at}") for at in range(1, self.width, 3)]
        newer, equal = [], []
        for at, value in places:
            take = f"v[{at}], v[{at + 1}], v[{at + 2}] = float(rank), float(offset), float({value})"
            newer += [f"    if {value} is None:", f"        v[{at} : {at + 3}] = (-1.0, -1.0, nan)"]
            newer += ["    else:", f"        {take}"]
            equal += [f"    if {value} is not None and (rank, offset) > (v[{at}], v[{at + 1}]):"]
            equal += [f"        {take}"]
        return Statements(
            [
                f"time, {''.join(f'{value}, ' for _, value in places)}= update",
                "if time > v[0]:",
                "    v[0] = time",
                *newer,
                "elif time == v[0]:",
                *(equal or ["    pass"]),
            ]
        )

    def value(self, name: str) -> Read:
        """The field's newest value; missing where nothing is known."""
        return Formula(f"v[{3 + 3 * self.fields.index(name)}]", absent="nan")

    def age(self) -> Read:
        """Seconds since the newest update; missing where nothing is known, never below 0."""
        return _AGE


@dataclass(frozen=True)
class OpenItems:
    """A ring of signed counters, one a slot of due time: {newest slot, counter, ...}.

    The opening event updates with ``(due, +1)``, the closing event with ``(due, -1)`` at the same
    due time, so their order does not matter; a slot expires when a due time one ring later arrives.
    """

    horizon_seconds: float
    """How far back from the newest due time counters are kept."""
    slot_seconds: float = 60.0
    slots: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Size the ring."""
        object.__setattr__(self, "slots", math.ceil(self.horizon_seconds / self.slot_seconds) + 1)

    @property
    def width(self) -> int:
        """Numbers in the state."""
        return 1 + self.slots

    @property
    def format(self) -> str:
        """`struct` codes of the numbers."""
        return f"q{self.slots}i"

    def describe(self) -> dict[str, Any]:
        """Kind and parameters."""
        return {
            "kind": "open-items",
            "horizon_seconds": float(self.horizon_seconds),
            "slot_seconds": float(self.slot_seconds),
        }

    def empty(self) -> Values:
        """No updates yet: the newest slot lies before every time."""
        return [-(2**62), *([0] * self.slots)]

    def check(self, updates: Iterable[Update | None]) -> None:
        """Raise `ValueError` unless each update has a due time and a count, both finite."""
        _check_numbers(updates, 2)

    def apply(self, state: Values, update: Update, rank: int, offset: int) -> None:  # noqa: ARG002
        """Take ``(due, +1 or -1)`` in; due in seconds."""
        slot = math.floor(update[0] / self.slot_seconds)
        slots = self.slots
        newest = state[0]
        if slot > newest:
            if slot - newest >= slots:
                state[1:] = [0] * slots
            else:
                for stale in range(newest + 1, slot + 1):
                    state[1 + stale % slots] = 0
            state[0] = slot
        elif newest - slot >= slots:
            return  # its slot has expired: whoever came first, it is not counted
        state[1 + slot % slots] += update[1]

    def overdue(self, within_seconds: float) -> Read:
        """Items due in the last `within_seconds` and still open; 0 where nothing is known."""
        slot_seconds, slots = self.slot_seconds, self.slots
        span = math.ceil(within_seconds / slot_seconds)

        def read(state: Values | None, at: float) -> float:
            if state is None:
                return 0.0
            last = min(math.floor(at / slot_seconds), state[0])
            first = max(math.floor(at / slot_seconds) - span, state[0] - slots) + 1
            if first > last:
                return 0.0
            low, high = 1 + first % slots, 1 + last % slots
            if low <= high:
                return float(sum(state[low : high + 1]))
            return float(sum(state[low:]) + sum(state[1 : high + 1]))

        return read


_PLAIN: Final = frozenset({float, int, bool, str, type(None)})


def plain_updates(updates: list[Update | None]) -> list[Update | None]:
    """The updates with Python's numbers for those of numpy, whose width a sum in memory would take
    on: of single precision, or of eight bits that run over. Raises for arrays, and what is no tuple.
    """
    if _PLAIN.issuperset(map(type, chain.from_iterable(filter(None, updates)))):
        return updates
    return [update and tuple(map(_plain, update)) for update in updates]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        raise InvalidUpdateError("an update holds an array")
    return value.item() if isinstance(value, np.generic) else value


def _check_numbers(updates: Iterable[Update | None], width: int) -> None:
    given = [update for update in updates if update is not None]
    numbers = list(chain.from_iterable(given))
    if len(numbers) != width * len(given) or not _are_finite(numbers):
        raise InvalidUpdateError(f"an update is not made of {width} finite numbers")


def _are_finite(numbers: Sequence[Any]) -> bool:
    """Whether each number is, whatever its neighbours are; raises for what is no number."""
    with suppress(OverflowError, TypeError):
        # The sum of numbers is finite only if each of them is.
        if math.isfinite(sum(numbers)):
            return True
    return all(map(math.isfinite, numbers))
