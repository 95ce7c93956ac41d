"""Figures of the benchmarks, as SVG with text that can be searched; the same figures give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

__all__ = ["GREY", "OURS", "figure", "from_zero", "svg_of"]

OURS: Final = "tab:blue"
GREY: Final = "0.6"

#: No date, no random ids, letters as letters.
_STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "stream_app",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "axes.axisbelow": True,
}


@contextmanager
def figure(width: float, height: float, *, panels: int = 1) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure of so many inches, and its panels side by side; no window is opened."""
    with mpl.rc_context(_STYLE):
        made = Figure(figsize=(width, height), layout="constrained")
        yield made, list(made.subplots(1, panels, squeeze=False)[0])


def svg_of(made: Figure) -> str:
    """The text of the image, to be called while its `figure` lasts."""
    text = StringIO()
    made.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def from_zero(axes: Axes) -> None:
    """Let the y axis begin at zero, so that flat looks flat, and write its numbers short."""
    axes.set_ylim(0, axes.get_ylim()[1] * 1.05)
    axes.yaxis.set_major_formatter(EngFormatter(sep=""))
