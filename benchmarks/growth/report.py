"""The page and its plots, from the results: `python -m benchmarks.growth report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.growth.judging import judged
from benchmarks.growth.plots import memory_plot, plot
from benchmarks.growth.points import VARIABLES
from benchmarks.growth.results import Known
from benchmarks.growth.shape import MLP

__all__ = ["section", "write_plots"]


def section(known: Mapping[str, Sequence[Known]]) -> str:
    """Everything that is measured, as Markdown: for each variable a plot, sentences and a table."""
    parts = []
    for name, variable in VARIABLES.items():
        if not known.get(name):
            continue
        of_it = known[name]
        run = of_it[-1].run
        parts.append(
            f"### {variable.title}\n\n"
            + "".join(
                f"![{variable.title}: {shown}](images/growth-{file}.svg)\n\n"
                for file, shown in _images(name, of_it)
            )
            + "".join(f"{sentence} " for sentence in judged(name, of_it)).rstrip()
            + "\n\n"
            + _table(name, of_it)
            + f"\nMeasured {run['began'][:10]} at {run['commit']} with Python {run['python']} on "
            f"{run['cores']} cores; {of_it[-1].rounds} round{'s' * (of_it[-1].rounds > 1)} a point.\n"
        )
    return "\n".join(parts)


def _table(name: str, known: Sequence[Known]) -> str:
    rows = [
        f"| {_named(name, each.value)} | {each.rate:,.0f} | {each.cpu_us:,.1f} | "
        f"{each.peak_mib:,.0f} | {f'{each.memory_growth:.2f}' if each.memory_growth else ''} |\n"
        for each in known
    ]
    return (
        f"| {VARIABLES[name].axis} | events/s | CPU us an event | peak MiB | memory, end / begin |\n"
        "|---|---|---|---|---|\n" + "".join(rows)
    )


def _named(name: str, value: float) -> str:
    return "MLP" if name == "trees" and value == MLP else f"{value:,g}"


def _images(name: str, known: Sequence[Known]) -> list[tuple[str, str]]:
    """The files of a variable, and what each shows."""
    images = []
    if len(_on_axis(name, known)) > 1:
        images.append((name, "events a second, CPU an event and peak memory"))
    if name in {"backlog", "soak"}:
        images.append((f"{name}-memory", "memory and records done over time"))
    return images


def _on_axis(name: str, known: Sequence[Known]) -> list[Known]:
    """Those with a place on the axis: a network has no number of trees."""
    return [each for each in known if not (name == "trees" and each.value == MLP)]


def write_plots(folder: Path, known: Mapping[str, Sequence[Known]]) -> list[Path]:
    """Write the images and return their paths."""
    written = []
    for name, of_it in known.items():
        for file, _ in _images(name, of_it):
            variable = VARIABLES[name]
            is_over_time = file != name
            text = memory_plot(of_it[-1]) if is_over_time else plot(variable, _on_axis(name, of_it))
            folder.mkdir(parents=True, exist_ok=True)
            written.append(folder / f"growth-{file}.svg")
            written[-1].write_text(text)
    return written
