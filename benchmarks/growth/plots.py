"""Plots as SVG: three panels of one axis, and memory over time; nothing is needed but text."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final
from xml.sax.saxutils import escape

from benchmarks.growth.points import Variable
from benchmarks.growth.results import Known

__all__ = ["memory_plot", "plot"]

_WIDTH: Final = 300
_HEIGHT: Final = 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 34, 42

_STYLE: Final = (
    "text{font:11px sans-serif;fill:#333}.t{font-size:12px;font-weight:bold}.a{stroke:#999}"
    ".g{stroke:#e4e4e4}.l{stroke:#2563ab;stroke-width:2;fill:none}.p{fill:#2563ab}"
)

_Points = Sequence[tuple[float, float]]


def plot(variable: Variable, known: Sequence[Known]) -> str:
    """Events a second, CPU an event and peak memory over the variable, side by side."""
    panels: list[tuple[str, Callable[[Known], float]]] = [
        ("events a second", lambda each: each.rate),
        ("CPU, microseconds an event", lambda each: each.cpu_us),
        ("peak memory, MiB", lambda each: each.peak_mib),
    ]
    return _image(
        variable.title,
        [
            _panel(title, variable.axis, [(each.value, of(each)) for each in known], at * _WIDTH)
            for at, (title, of) in enumerate(panels)
        ],
    )


def memory_plot(variable: Variable, known: Known) -> str:
    """Memory and records done over the seconds of one run."""
    return _image(
        variable.title,
        [
            _panel("memory, MiB", "seconds", [(look[0], look[2]) for look in known.looks], 0),
            _panel("records done", "seconds", [(look[0], look[1]) for look in known.looks], _WIDTH),
        ],
    )


def _image(title: str, panels: Sequence[str]) -> str:
    width = _WIDTH * len(panels)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" width="{width}" '
        f'height="{_HEIGHT}" role="img"><title>{escape(title)}</title><style>{_STYLE}</style>'
        f'<rect width="{width}" height="{_HEIGHT}" fill="#fff"/>{"".join(panels)}</svg>\n'
    )


def _panel(title: str, axis: str, points: _Points, shift: float) -> str:
    """A line through the points; the y axis begins at zero, so that flat looks flat."""
    across = _axis([x for x, _ in points])
    top = _rounded_up(max(y for _, y in points)) or 1.0
    inner = _HEIGHT - _TOP - _BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        wide = _WIDTH - _LEFT - _RIGHT
        return shift + _LEFT + wide * across(x), _TOP + inner * (1 - y / top)

    drawn = [f'<text class="t" x="{shift + _LEFT}" y="18">{escape(title)}</text>']
    for part in (0.0, 0.5, 1.0):
        x, y = place(points[0][0], top * part)
        begin = shift + _LEFT
        drawn.append(
            f'<line class="g" x1="{begin}" x2="{shift + _WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{begin - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(top * part)}</text>'
        )
    for x_value in _labelled([x for x, _ in points], across):
        x, y = place(x_value, 0)
        drawn.append(
            f'<text x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle">{_short(x_value)}</text>'
        )
    middle = shift + (_LEFT + _WIDTH - _RIGHT) / 2
    drawn.append(f'<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(axis)}</text>')
    places = [place(x, y) for x, y in points]
    drawn.append(
        f'<polyline class="l" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}"/>'
    )
    if len(places) <= 12:
        drawn += [f'<circle class="p" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
    return "".join(drawn)


def _axis(values: Sequence[float]) -> Callable[[float], float]:
    """Where a value lies, 0 to 1: by its logarithm where the values span more than a factor of 20."""
    low, high = min(values), max(values)
    if low == high:
        return lambda _: 0.5
    if low > 0 and high / low > 20:
        span = math.log(high / low)
        return lambda value: math.log(value / low) / span
    return lambda value: (value - low) / (high - low)


def _labelled(values: Sequence[float], across: Callable[[float], float]) -> list[float]:
    """The values that are written below the axis: none within a seventh of it of another."""
    chosen: list[float] = []
    for value in sorted(values):
        if not chosen or across(value) - across(chosen[-1]) >= 1 / 7:
            chosen.append(value)
    return chosen


def _rounded_up(value: float) -> float:
    """The next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten."""
    if value <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    steps = (1, 1.5, 2, 3, 4, 5, 6, 8, 10)
    return next(step * power for step in steps if step * power >= value * 0.9999)


def _short(value: float) -> str:
    """A number in at most five characters."""
    for power, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= power:
            return f"{value / power:.3g}{letter}"
    return f"{value:.3g}"
