"""The newest values of each field, a fixed number of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from stream_app.features.kinds.agreement import agree
from stream_app.features.kinds.checks import check_fields, check_numbers_or_none, place_of
from stream_app.features.kinds.compiled import Formula, Statements, named
from stream_app.features.kinds.contract import Apply, Read, Update, Values

__all__ = ["LastN"]


@dataclass(frozen=True)
class LastN:
    """The newest `n` updates, the newest first: {(t, rank, offset, value, ...) an update}.

    Update: ``(time, value, ...)``, a number or None a field. The order is that of time, then the
    source's rank, then the offset; a late update takes its place among those kept. With `n` of 2
    it is the newest value and the one before.
    Reads: `value`, `previous`, `nth`, `mean`, `minimum`, `maximum`, `count` and `age`. The mean, the
    minimum and the maximum leave out what is missing.
    Error: none; a mean that of floating point.
    Memory: `n` times 24 bytes packed, and 8 more a field.

    >>> state = LastN(3, ("amount",))
    >>> held = state.empty()
    >>> for offset, amount in enumerate([5.0, 1.0, 2.0, 9.0]):
    ...     state.apply(held, (float(offset), amount), 0, offset)
    >>> state.value("amount")(held, 4.0), state.previous("amount")(held, 4.0)
    (9.0, 2.0)
    >>> state.mean("amount")(held, 4.0), state.count()(held, 4.0), state.age(2)(held, 4.0)
    (4.0, 3.0, 3.0)
    """

    n: int
    fields: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise `ValueError` for parameters that make no state."""
        check_fields(self, self.fields)
        if self.n < 1:
            raise ValueError(f"n of LastN is {self.n}: give 1 or more")

    @property
    def width(self) -> int:
        """Numbers in the state."""
        return self.n * self._stride

    @property
    def _stride(self) -> int:
        """Numbers of one update: time, rank, offset, a value a field."""
        return 3 + len(self.fields)

    @property
    def format(self) -> str:
        """`struct` codes of the numbers (offsets below 2**53 are exact in a double)."""
        return f"{self.width}d"

    def describe(self) -> dict[str, Any]:
        """Kind and parameters."""
        return {"kind": "last-n", "n": self.n, "fields": list(self.fields)}

    def empty(self) -> Values:
        """No updates yet: every t is minus infinity."""
        return [-math.inf, -1.0, -1.0, *(math.nan for _ in self.fields)] * self.n

    def check(self, updates: Iterable[Update | None]) -> None:
        """Raise `ValueError` unless each update has a time and a number or None a field."""
        check_numbers_or_none(updates, 1 + len(self.fields))

    def agrees(self, left: Sequence[Any], right: Sequence[Any]) -> bool:
        """Whether two states hold the same updates: they are equal."""
        return agree(left, right)

    @cached_property
    def apply(self) -> Apply:
        """Takes ``(time, value or None, ...)`` in; time in seconds."""
        names = [f"value{at}" for at in range(len(self.fields))]
        values = "".join(f"nan if {name} is None else float({name}), " for name in names)
        return Statements(
            [
                f"time, {''.join(f'{name}, ' for name in names)}= update",
                "place, index = (time, rank, offset), 0",
                f"while index < {self.width} and place < (v[index], v[index + 1], v[index + 2]):",
                f"    index += {self._stride}",
                f"if index < {self.width}:",
                f"    v[index:index] = (float(time), float(rank), float(offset), {values})",
                f"    del v[{self.width}:]",
            ],
            operation=("last-n", self._stride),
        )

    def nth(self, name: str, n: int) -> Read:
        """The value of the `n`-th newest update, the newest is 0; missing where there is none."""
        place = self._update(n) + 3 + self._place(name)
        return Formula(f"v[{place}]", absent="nan", operation=("value", place))

    def value(self, name: str) -> Read:
        """The newest value; missing where nothing is known."""
        return self.nth(name, 0)

    def previous(self, name: str) -> Read:
        """The value before the newest one; missing where there is none. `n` has to be above 1."""
        return self.nth(name, 1)

    def mean(self, name: str) -> Read:
        """Mean of the values kept; missing where there are none."""
        return self._over(name, _mean, "kept-mean")

    def minimum(self, name: str) -> Read:
        """Least of the values kept; missing where there are none."""
        return self._over(name, min, "kept-least")

    def maximum(self, name: str) -> Read:
        """Greatest of the values kept; missing where there are none."""
        return self._over(name, max, "kept-greatest")

    def count(self) -> Read:
        """How many updates are kept, `n` at most; 0 where nothing is known."""
        last, stride = self.width - self._stride, self._stride
        full = f"{float(self.n)} if v[{last}] > -inf else "
        return Formula(
            f"{full}float({self.n} - v[::{stride}].count(-inf))",
            absent="0.0",
            operation=("kept-count", (0, stride)),
        )

    def age(self, n: int = 0) -> Read:
        """Seconds since the `n`-th newest update, the newest is 0; missing where there is none."""
        place = self._update(n)
        time = f"v[{place}]"
        age = f"float(at - {time}) if at > {time} else 0.0"
        return Formula(
            f"({age}) if {time} > -inf else nan", absent="nan", operation=("kept-age", place)
        )

    def _over(self, name: str, fold: Callable[[list[float]], float], operation: str) -> Read:
        first, stride = 3 + self._place(name), self._stride

        def read(state: Values | None, at: float) -> float:  # noqa: ARG001
            if state is None:
                return math.nan
            values = [value for value in state[first::stride] if value == value]
            return fold(values) if values else math.nan

        return named(f"LastN.{fold.__name__}({name})", read, operation=(operation, (first, stride)))

    def _place(self, name: str) -> int:
        return place_of(self, self.fields, name)

    def _update(self, n: int) -> int:
        if not 0 <= n < self.n:
            raise ValueError(f"LastN keeps the updates 0 to {self.n - 1}, and {n} is none of them")
        return n * self._stride


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
