"""The least and the greatest value of each field, over all time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from stream_app.features.kinds.agreement import agree
from stream_app.features.kinds.checks import check_fields, check_numbers_or_none, place_of
from stream_app.features.kinds.compiled import AGE, Formula, Statements
from stream_app.features.kinds.contract import Apply, InvalidUpdateError, Read, Update, Values

__all__ = ["Extremes"]


@dataclass(frozen=True)
class Extremes:
    """The least and the greatest value of each field, over all time: {t, (least, greatest) a field}.

    Update: ``(time, value, ...)``, a finite number or None a field; None changes nothing. Over
    the last hour or day, instead of all time, `Windows` has them.
    Reads: `minimum`, `maximum` and `age`.
    Error: none.
    Memory: 8 bytes packed, and 16 a field.

    >>> state = Extremes(("amount",))
    >>> held = state.empty()
    >>> for offset, amount in enumerate([5.0, 1.0, 2.0]):
    ...     state.apply(held, (float(offset), amount), 0, offset)
    >>> state.minimum("amount")(held, 4.0), state.maximum("amount")(held, 4.0)
    (1.0, 5.0)
    """

    fields: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise `ValueError` for parameters that make no state."""
        check_fields(self, self.fields)

    @property
    def width(self) -> int:
        """Numbers in the state."""
        return 1 + 2 * len(self.fields)

    @property
    def format(self) -> str:
        """`struct` codes of the numbers."""
        return f"{self.width}d"

    def describe(self) -> dict[str, Any]:
        """Kind and parameters."""
        return {"kind": "extremes", "fields": list(self.fields)}

    def empty(self) -> Values:
        """No updates yet: t is minus infinity, and least lies above greatest."""
        return [-math.inf, *((math.inf, -math.inf) * len(self.fields))]

    def check(self, updates: Iterable[Update | None]) -> None:
        """Raise `ValueError` unless each update has a time and a finite number or None a field."""
        updates = list(updates)
        check_numbers_or_none(updates, 1 + len(self.fields))
        if not all(
            value is None or math.isfinite(value) for update in updates for value in update or ()
        ):
            raise InvalidUpdateError("a value of an update is not finite; None stands for no value")

    def agrees(self, left: Sequence[Any], right: Sequence[Any]) -> bool:
        """Whether two states hold the same updates: they are equal."""
        return agree(left, right)

    @cached_property
    def apply(self) -> Apply:
        """Takes ``(time, value or None, ...)`` in; time in seconds."""
        places = range(1, self.width, 2)
        lines = [
            f"time, {''.join(f'value{at}, ' for at in places)}= update",
            "if time > v[0]:",
            "    v[0] = time",
        ]
        for at in places:
            lines += [
                f"if value{at} is not None:",
                f"    if value{at} < v[{at}]:",
                f"        v[{at}] = float(value{at})",
                f"    if value{at} > v[{at + 1}]:",
                f"        v[{at + 1}] = float(value{at})",
            ]
        return Statements(lines, operation=("extremes", 0.0))

    def minimum(self, name: str) -> Read:
        """Least value of a field, in its unit; missing where nothing is known."""
        return self._read(1 + 2 * place_of(self, self.fields, name))

    def maximum(self, name: str) -> Read:
        """Greatest value of a field, in its unit; missing where nothing is known."""
        return self._read(2 + 2 * place_of(self, self.fields, name))

    def age(self) -> Read:
        """Seconds since the newest update; missing where nothing is known, never below 0."""
        return AGE

    @staticmethod
    def _read(place: int) -> Read:
        return Formula(
            f"v[{place}] if -inf < v[{place}] < inf else nan",
            absent="nan",
            operation=("finite", place),
        )
