"""Plots: what one variable changes, in panels side by side, and memory over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, NullLocator, StrMethodFormatter

from benchmarks.drawing import OURS, figure, from_zero, svg_of
from benchmarks.growth.points import Variable
from benchmarks.growth.results import Known

__all__ = ["memory_plot", "plot"]

_PANEL_INCHES: Final = 3.0
_HEIGHT_INCHES: Final = 2.3
_MANY: Final = 20.0
"""An axis whose values span more than this factor is logarithmic."""


def plot(variable: Variable, known: Sequence[Known]) -> str:
    """Events a second, CPU an event and peak memory over the variable, side by side, as SVG."""
    panels = {
        "events a second": [each.rate for each in known],
        "CPU, microseconds an event": [each.cpu_us for each in known],
        "peak memory, MiB": [each.peak_mib for each in known],
    }
    values = [each.value for each in known]
    with figure(_PANEL_INCHES * 3, _HEIGHT_INCHES, panels=3) as (made, axes):
        for panel, (title, figures) in zip(axes, panels.items(), strict=True):
            _line(panel, title, variable.axis, values, figures, marker="o")
            if min(values) > 0 and max(values) / min(values) > _MANY:
                panel.set_xscale("log")
                panel.xaxis.set_minor_locator(NullLocator())
            panel.set_xticks(values)
            # Shares as they are: 0.1 is easier read than 100m.
            large = max(values) > 1
            panel.xaxis.set_major_formatter(
                EngFormatter(sep="") if large else StrMethodFormatter("{x:g}")
            )
        return svg_of(made)


def memory_plot(known: Known) -> str:
    """Memory and records done over the seconds of one run, as SVG."""
    seconds = [look[0] for look in known.looks]
    with figure(_PANEL_INCHES * 2, _HEIGHT_INCHES, panels=2) as (made, (memory, done)):
        _line(memory, "memory, MiB", "seconds", seconds, [look[2] for look in known.looks])
        _line(done, "records done", "seconds", seconds, [look[1] for look in known.looks])
        return svg_of(made)


def _line(
    panel: Axes,
    title: str,
    axis: str,
    across: Sequence[float],
    figures: Sequence[float],
    *,
    marker: str = "",
) -> None:
    panel.plot(across, figures, color=OURS, marker=marker)
    panel.set_title(title, fontsize="medium", fontweight="bold")
    panel.set_xlabel(axis)
    from_zero(panel)
