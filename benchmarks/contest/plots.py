"""The two kinds of plot that a contest is shown in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from benchmarks.drawing import GREY, OURS, figure, svg_of

__all__ = ["Bar", "bars", "lines"]


class Bar(NamedTuple):
    """A median and its spread."""

    name: str
    value: float
    low: float
    high: float
    is_ours: bool = False


def bars(title: str, unit: str, found: Sequence[Bar]) -> str:
    """Horizontal bars as SVG, each with a line from the lowest value to the highest."""
    with figure(8.5, 1.0 + 0.25 * len(found)) as (made, (panel,)):
        drawn = panel.barh(
            [bar.name for bar in found],
            [bar.value for bar in found],
            xerr=[
                [max(0.0, bar.value - bar.low) for bar in found],
                [max(0.0, bar.high - bar.value) for bar in found],
            ],
            color=[OURS if bar.is_ours else GREY for bar in found],
        )
        panel.bar_label(drawn, [_figure(bar.value) for bar in found], padding=4)
        panel.invert_yaxis()
        panel.grid(visible=False, axis="y")
        panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        panel.set_title(title)
        panel.set_xlabel(unit)
        return svg_of(made)


def lines(
    title: str, x_unit: str, y_unit: str, found: Mapping[str, Sequence[tuple[float, float]]]
) -> str:
    """Curves over logarithmic axes as SVG; points are (x, y), both above 0."""
    with figure(8.5, 4.5) as (made, (panel,)):
        # There are more curves than colours.
        for (name, curve), marker in zip(found.items(), cycle("os^Dv*P"), strict=False):
            across, up = zip(*sorted(curve), strict=True)
            is_ours = name.startswith("worker")
            panel.plot(across, up, marker=marker, label=name, linestyle="-" if is_ours else "--")
        panel.set_xscale("log")
        panel.set_yscale("log")
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
            axis.set_minor_locator(NullLocator())
        panel.set_title(title)
        panel.set_xlabel(x_unit)
        panel.set_ylabel(y_unit)
        if found:
            panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        return svg_of(made)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
