"""Whether the cost of an event stays flat, and what a step costs where it need not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from benchmarks.growth.points import VARIABLES, Variable
from benchmarks.growth.results import Known
from benchmarks.growth.shape import MLP

__all__ = ["FLAT", "MEMORY", "judged", "per_step"]

FLAT: Final = 1.15
"""CPU an event at a point over that at the cheapest one: above it the cost is told not to be flat. Two
drains of one point differ by a tenth on a shared machine."""

MEMORY: Final = 1.05
"""Memory at the end of a run over that at its beginning."""


def judged(name: str, known: Sequence[Known]) -> list[str]:
    """Sentences about a variable."""
    variable = VARIABLES[name]
    said = _of_flat(variable, known) if variable.flat else _of_slope(name, variable, known)
    if name in {"backlog", "soak"} and known[-1].memory_growth:
        growth = known[-1].memory_growth
        verdict = "flat" if growth <= MEMORY else f"not flat: more than {MEMORY:.2f}"
        said.append(
            f"Memory in the last fifth was {growth:.2f} of that in the second fifth ({verdict})."
        )
    return said


def _of_flat(variable: Variable, known: Sequence[Known]) -> list[str]:
    if len(known) < 2:
        return []
    base = min(known, key=lambda each: each.cpu_us)
    dear = [each for each in known if each.cpu_us > FLAT * base.cpu_us]
    if not dear:
        most = max(each.cpu_us for each in known) / base.cpu_us
        return [f"Flat: the dearest point costs {most:.2f} of the cheapest; {variable.why}."]
    return [
        "Not flat: "
        + ", ".join(f"{each.cpu_us / base.cpu_us:.2f} at {each.value:,g}" for each in dear)
        + f" of what an event costs at {base.value:,g} {variable.axis}."
    ]


def _of_slope(name: str, variable: Variable, known: Sequence[Known]) -> list[str]:
    on_axis = [each for each in known if not (name == "trees" and each.value == MLP)]
    if len(on_axis) < 2:
        return []
    whole = per_step(variable, on_axis[0], on_axis[-1])
    ends = f"from {on_axis[0].value:,g} to {on_axis[-1].value:,g}"
    said = [f"{_significant(whole)} us a {variable.unit or name} {ends}: {variable.why}."]
    if len(on_axis) > 2:
        first = per_step(variable, *on_axis[:2])
        last = per_step(variable, *on_axis[-2:])
        said.append(
            f"The first step costs {_significant(first)} us a {variable.unit or name}, the last"
            f" {_significant(last)}: {_shape_of(first, last)}."
        )
    return said


def per_step(variable: Variable, low: Known, high: Known) -> float:
    """CPU microseconds an event for one step more on the axis."""
    return (high.cpu_us - low.cpu_us) / (high.value - low.value) * variable.step


def _shape_of(first: float, last: float) -> str:
    if first <= 0 or last <= 0:
        return "lost in the noise somewhere"
    if last > 1.5 * first:
        return "it grows faster than the variable"
    return "a straight line" if last > first / 1.5 else "it grows more slowly than the variable"


def _significant(number: float) -> str:
    """Two digits that matter."""
    if not number:
        return "0"
    digits = max(0, 1 - math.floor(math.log10(abs(number))))
    return f"{number:.{digits}f}"
