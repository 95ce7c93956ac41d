"""Two kinds of plot as SVG, by hand: nothing has to be installed to draw them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

__all__ = ["Bar", "bars", "lines"]

_LEFT, _RIGHT, _ROW, _TOP = 240, 120, 22, 48
_WIDTH = 820
_COLOURS = ("#1b6ca8", "#d1495b", "#4f772d", "#8d5a97", "#e09f3e", "#2a9d8f", "#6c757d", "#222222")


class Bar(NamedTuple):
    """A median and its spread."""

    name: str
    value: float
    low: float
    high: float
    is_ours: bool = False


def bars(title: str, unit: str, found: Sequence[Bar]) -> str:
    """Horizontal bars, each with a line from the lowest value to the highest."""
    most = max((bar.high for bar in found), default=1.0) or 1.0
    scale = (_WIDTH - _LEFT - _RIGHT) / most
    parts = [_text(16, 24, f"{title} ({unit})", size=16)]
    for row, bar in enumerate(found):
        top = _TOP + row * _ROW
        middle = top + _ROW / 2 - 2
        colour = _COLOURS[0] if bar.is_ours else _COLOURS[6]
        parts += [
            _text(_LEFT - 8, middle + 4, bar.name, anchor="end"),
            _rectangle(_LEFT, top, bar.value * scale, _ROW - 6, colour),
            _line(_LEFT + bar.low * scale, middle, _LEFT + bar.high * scale, middle, "#222"),
            _text(_LEFT + bar.high * scale + 6, middle + 4, _figure(bar.value)),
        ]
    return _svg(parts, _TOP + len(found) * _ROW + 16)


def lines(
    title: str, x_unit: str, y_unit: str, found: Mapping[str, Sequence[tuple[float, float]]]
) -> str:
    """Curves over logarithmic axes; points are (x, y), both above 0."""
    points = [point for curve in found.values() for point in curve]
    if not points:
        return _svg([_text(16, 24, f"{title}: nothing was measured", size=16)], 48)
    left, top, width, height = 70, 48, 480, 340
    xs, ys = _Axis([x for x, _ in points]), _Axis([y for _, y in points])
    parts = [_text(16, 24, title, size=16)]
    for x in xs.ticks:
        at = left + xs(x) * width
        parts += [
            _line(at, top, at, top + height, "#ddd"),
            _text(at, top + height + 16, f"{x:,g}", anchor="middle"),
        ]
    for y in ys.ticks:
        at = top + (1 - ys(y)) * height
        parts += [
            _line(left, at, left + width, at, "#ddd"),
            _text(left - 6, at + 4, f"{y:g}", anchor="end"),
        ]
    parts += [
        _text(left + width / 2, top + height + 36, x_unit, anchor="middle"),
        _text(16, top - 8, y_unit),
    ]
    for place, (name, curve) in enumerate(found.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        dashes = "" if place < len(_COLOURS) else ' stroke-dasharray="5 3"'
        where = [
            f"{left + xs(x) * width:.1f},{top + (1 - ys(y)) * height:.1f}" for x, y in sorted(curve)
        ]
        parts += [
            f'<polyline points="{" ".join(where)}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>',
            *(
                f'<circle cx="{point.split(",")[0]}" cy="{point.split(",")[1]}" r="3" fill="{colour}"/>'
                for point in where
            ),
            _line(left + width + 16, top + place * 18, left + width + 40, top + place * 18, colour),
            _text(left + width + 46, top + place * 18 + 4, name),
        ]
    return _svg(parts, max(top + height + 48, top + len(found) * 18 + 16))


class _Axis:
    """Logarithmic, from a round number to a round number."""

    def __init__(self, values: Sequence[float]) -> None:
        self.ticks = [
            step * 10.0**power
            for power in range(
                math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1
            )
            for step in (1, 2, 5)
        ]
        below = [tick for tick in self.ticks if tick <= min(values)]
        above = [tick for tick in self.ticks if tick >= max(values)]
        low, high = below[-1], above[0]
        self.ticks = [tick for tick in self.ticks if low <= tick <= high]
        self._low, self._span = math.log10(low), (math.log10(high) - math.log10(low)) or 1.0

    def __call__(self, value: float) -> float:
        return (math.log10(value) - self._low) / self._span


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _rectangle(x: float, y: float, width: float, height: float, colour: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        'stroke-width="1.5"/>'
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-family="sans-serif" font-size="{size}" '
        f'text-anchor="{anchor}" fill="#222">{escape(text)}</text>'
    )


def _svg(parts: Sequence[str], height: float) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:.0f}">',
            f'<rect width="{_WIDTH}" height="{height:.0f}" fill="#fff"/>',
            *parts,
            "</svg>\n",
        ]
    )
