"""What is checked of updates before they are applied, and of a kind's own parameters."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain
from operator import itemgetter
from typing import Any, Final, SupportsFloat

import numpy as np

from stream_app.features.kinds.contract import InvalidUpdateError, Update

__all__ = [
    "check_fields", "check_numbers", "check_numbers_or_none", "check_seconds", "check_slots",
    "check_times", "given_updates", "place_of", "plain_updates",
]  # fmt: skip

_PLAIN: Final = frozenset({float, int, bool, str, type(None)})
_NUMBERS: Final = frozenset({float, int})
_MOST_SLOTS: Final = 2.0**61
"""From time zero on, in either direction: `NO_SLOT` lies before all of them."""


def plain_updates(updates: list[Update | None]) -> list[Update | None]:
    """The updates with Python's numbers for those of numpy, whose width a sum in memory would take
    on: of single precision, or of eight bits that run over. Raises for arrays, and what is no tuple.
    """
    try:
        if _PLAIN.issuperset(map(type, chain.from_iterable(filter(None, updates)))):
            return updates
    except TypeError:
        for update in updates:
            if update is not None and not isinstance(update, Iterable):
                raise InvalidUpdateError(
                    f"an update is a {type(update).__name__}, and has to be a tuple: the time, then what the "
                    "kind of state takes"
                ) from None
        raise
    return [update and tuple(map(_plain, update)) for update in updates]


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        raise InvalidUpdateError("an update holds an array")
    return value.item() if isinstance(value, np.generic) else value


def check_numbers(updates: Iterable[Update | None], width: int) -> None:
    """Raise `ValueError` unless each update is made of `width` finite numbers."""
    given = [update for update in updates if update is not None]
    numbers = list(chain.from_iterable(given))
    with suppress(TypeError):  # raised for what is no number, which is told below
        if len(numbers) == width * len(given) and _are_finite(numbers):
            return
    raise InvalidUpdateError(
        f"an update is not made of {width} finite numbers, the time first: {_not_numbers(given, width)}"
    )


def _not_numbers(given: Sequence[Update], width: int) -> str:
    """What the first update that is none is instead; its values are not quoted."""
    for update in given:
        if len(update) != width:
            return f"it has {len(update)}"
        for at, value in enumerate(update, start=1):
            if not isinstance(value, SupportsFloat):
                return f"value {at} is {'None' if value is None else f'a {type(value).__name__}'}"
            if not math.isfinite(value):
                return f"value {at} is not finite"
    return "their sum is not finite"


def _are_finite(numbers: Sequence[Any]) -> bool:
    """Whether each number is, whatever its neighbours are; raises for what is no number."""
    with suppress(OverflowError, TypeError):
        # The sum of numbers is finite only if each of them is.
        if math.isfinite(sum(numbers)):
            return True
    return all(map(math.isfinite, numbers))


def check_numbers_or_none(updates: Iterable[Update | None], width: int) -> None:
    """Raise `ValueError` unless each update has `width` values: a time, then numbers or None."""
    given = given_updates(updates, width)
    values = [value for update in given for value in update if value is not None]
    # Whoever gives text has mistaken a field; `float` would take its digits.
    if not set(map(type, values)) <= _NUMBERS and not all(
        isinstance(value, SupportsFloat) for value in values
    ):
        raise InvalidUpdateError("an update holds something else than numbers and None")
    deque(map(float, values), maxlen=0)  # an integer may be too large for the state
    check_times(given)


def given_updates(updates: Iterable[Update | None], width: int) -> list[Update]:
    """The updates that are not None; raises `ValueError` unless each has `width` values."""
    given = [update for update in updates if update is not None]
    widths = set(map(len, given))
    if widths - {width}:
        raise InvalidUpdateError(f"an update has not {width} values, but {max(widths)}")
    return given


def check_times(given: Iterable[Update]) -> None:
    """Raise `ValueError` unless the time of each update is finite."""
    if not all(map(math.isfinite, map(itemgetter(0), given))):
        raise InvalidUpdateError("the time of an update is not finite")


def check_slots(updates: Iterable[Update | None], slot_seconds: float) -> None:
    """Raise `ValueError` where the time of an update lies in a slot whose number no state can hold.

    Times are finite numbers.
    """
    times = [update[0] for update in updates if update is not None]
    furthest = slot_seconds * _MOST_SLOTS
    if times and not -furthest < min(times) <= max(times) < furthest:
        raise InvalidUpdateError(f"the time of an update is not within {furthest:g} s of zero")


def check_seconds(kind: object, **parameters: float) -> None:
    """Raise `ValueError` unless each parameter of a kind is a number of seconds above 0."""
    for name, seconds in parameters.items():
        if not isinstance(seconds, int | float) or not 0 < seconds < math.inf:
            raise ValueError(
                f"{name} of {type(kind).__name__} is {seconds!r}: give a number of seconds above 0"
            )


def check_fields(kind: object, fields: Sequence[str]) -> None:
    """Raise `TypeError` for a text in place of names, `ValueError` for names that come twice."""
    name = type(kind).__name__
    if isinstance(fields, str):
        raise TypeError(f'the fields of {name} are the text {fields!r}: write ("{fields}",)')
    twice = sorted({field for field in fields if list(fields).count(field) > 1})
    if twice:
        raise ValueError(f"{name} names a field twice: {', '.join(twice)}")


def place_of(kind: object, fields: Sequence[str], name: str) -> int:
    """The position of a field; raises `ValueError` with those that there are."""
    if name not in fields:
        there = ", ".join(fields) or "none at all"
        raise ValueError(f"{type(kind).__name__} has no field {name!r} there; it has {there}")
    return list(fields).index(name)
