"""Exponentially decayed count, means, variances and standard deviations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from stream_app.features.kinds.agreement import agree
from stream_app.features.kinds.checks import check_fields, check_numbers, check_seconds, place_of
from stream_app.features.kinds.compiled import AGE, Formula, Statements
from stream_app.features.kinds.contract import Apply, Read, Update, Values
from stream_app.features.kinds.decay import decayed_count

__all__ = ["DecayedMoments"]


@dataclass(frozen=True)
class DecayedMoments:
    """Exponentially decayed count, mean, variance: {t, n, (mean, its rest, squares) a field}.

    Update: ``(time, value, ...)``, a value a field. It counts one; everything loses half its weight
    every `half_life_seconds`, and a late update comes in with its weight decayed.
    Reads: `count`, `mean`, `variance`, `deviation` and `age`. The variance is that of the values
    seen, divided by the count and not by one less: of a single value it is 0.
    Error: 1e-9 of each read, a mean's 1e-9 of the deviation where that is more. It holds where the
    mean is far larger than the deviation as well: squared distances from the mean are kept, never
    sums of squares, and the mean is held in two numbers, the second of which is the first one's
    rounding error.
    Memory: 16 bytes packed, and 24 a field.
    Source: Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing
    Sample Variances" (1979), with weights that decay as those of `DecayedSums`.

    >>> state = DecayedMoments(half_life_seconds=3600.0, fields=("amount",))
    >>> held = state.empty()
    >>> for offset, amount in enumerate([1e9 - 1.0, 1e9 + 1.0]):
    ...     state.apply(held, (0.0, amount), 0, offset)
    >>> state.mean("amount")(held, 0.0), state.deviation("amount")(held, 0.0)
    (1000000000.0, 1.0)
    """

    half_life_seconds: float
    fields: tuple[str, ...]

    sums_up: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Raise `ValueError` for parameters that make no state."""
        check_seconds(self, half_life_seconds=self.half_life_seconds)
        check_fields(self, self.fields)

    @property
    def width(self) -> int:
        """Numbers in the state."""
        return 2 + 3 * len(self.fields)

    @property
    def format(self) -> str:
        """`struct` codes of the numbers."""
        return f"{self.width}d"

    def describe(self) -> dict[str, Any]:
        """Kind and parameters."""
        return {
            "kind": "decayed-moments",
            "half_life_seconds": float(self.half_life_seconds),
            "fields": list(self.fields),
        }

    def empty(self) -> Values:
        """No updates yet: n is 0, t minus infinity."""
        return [-math.inf, *(0.0 for _ in range(1, self.width))]

    def check(self, updates: Iterable[Update | None]) -> None:
        """Raise `ValueError` unless each update has a time and a value a field, all finite."""
        check_numbers(updates, 1 + len(self.fields))

    def agrees(self, left: Sequence[Any], right: Sequence[Any]) -> bool:
        """Whether two states hold the same updates: the times are equal, moments nearly.

        A mean within 1e-9 of the deviation is the same as well: it may lie close to zero. Its rest
        is below its rounding error, and no measure of anything.
        """
        return agree(left[:2], right[:2], rounded=(1,)) and all(
            math.isclose(left[at], right[at], rel_tol=1e-9, abs_tol=1e-9 * _deviation(left, at))
            and agree((left[at + 2],), (right[at + 2],), rounded=(0,))
            for at in range(2, self.width, 3)
        )

    @cached_property
    def apply(self) -> Apply:
        """Takes ``(time, value, ...)`` in; time in seconds."""
        means = range(2, self.width, 3)
        lines = [
            f"time, {''.join(f'value{at}, ' for at in means)}= update",
            f"half_lives = (time - v[0]) / {float(self.half_life_seconds)!r}",
            "if half_lives >= 0.0:",
            "    keep = exp2(-half_lives)",
            "    weight, before = 1.0, v[1] * keep",
            "    v[0] = time",
            *(f"    v[{at + 2}] *= keep" for at in means),
            "else:",
            "    weight, before = exp2(half_lives), v[1]",
            "v[1] = total = before + weight",
        ]
        for at in means:
            lines += [
                f"gap = value{at} - v[{at}] - v[{at + 1}]",
                # From the heavier side: a value that has decayed to nothing leaves no error behind.
                "if weight > before:",
                f"    mean, rest = value{at}, -gap * (before / total)",
                "else:",
                f"    mean, rest = v[{at}], v[{at + 1}] + gap * (weight / total)",
                f"v[{at}] = mean + rest",
                f"v[{at + 1}] = rest - (v[{at}] - mean)",
                f"v[{at + 2}] += gap * gap * (before / total * weight)",
            ]
        return Statements(lines, operation=("decayed-moments", float(self.half_life_seconds)))

    def count(self) -> Read:
        """Decayed number of updates; 0 where nothing is known."""
        return Formula(
            decayed_count(self.half_life_seconds),
            absent="0.0",
            operation=("decayed", (float(self.half_life_seconds), 1)),
        )

    def mean(self, name: str) -> Read:
        """Decayed mean of a field, in its unit; missing where nothing is known."""
        mean = self._mean_of(name)
        return self._known(f"v[{mean}]", ("known", mean))

    def variance(self, name: str) -> Read:
        """Decayed variance of a field, in its unit squared; missing where nothing is known."""
        squares = self._mean_of(name) + 2
        return self._known(f"v[{squares}] / v[1]", ("ratio", (squares, 1)))

    def deviation(self, name: str) -> Read:
        """Decayed standard deviation of a field, in its unit; missing where nothing is known."""
        squares = self._mean_of(name) + 2
        return self._known(f"(v[{squares}] / v[1]) ** 0.5", ("root", (squares, 1)))

    def age(self) -> Read:
        """Seconds since the newest update; missing where nothing is known, never below 0."""
        return AGE

    @staticmethod
    def _known(expression: str, operation: tuple[str, Any]) -> Read:
        return Formula(f"{expression} if v[1] > 0.0 else nan", absent="nan", operation=operation)

    def _mean_of(self, name: str) -> int:
        return 2 + 3 * place_of(self, self.fields, name)


def _deviation(state: Sequence[Any], mean_at: int) -> float:
    return math.sqrt(state[mean_at + 2] / state[1]) if state[1] > 0.0 else 0.0
