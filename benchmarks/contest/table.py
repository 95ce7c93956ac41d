"""The table of a contest: medians over the rounds, their spread, and ratios within each round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Row", "rows", "spread", "table"]


@dataclass(frozen=True)
class Row:
    """What the rounds say of one contender."""

    contender: str
    rates: tuple[float, ...]
    """Events a second, a value a round, as in the next two."""
    cpus: tuple[float, ...]
    ratios: tuple[float, ...]
    """To the rate that the loop had in the same round; none where the loop did not run."""
    peak_mib: float
    lacking: int
    """Predictions that were not in the topic afterwards, in the worst round."""
    guarantee: str
    error: str

    @property
    def rate(self) -> float:
        """Median of events a second."""
        return statistics.median(self.rates)

    @property
    def cpu_us(self) -> float:
        """Median of CPU microseconds an event."""
        return statistics.median(self.cpus)


def rows(drains: Sequence[Mapping[str, Any]], loop: str) -> list[Row]:
    """A row a contender, in the order in which they first came; `loop`: whom ratios are to."""
    at_loop = {
        line["round"]: line["rate"]
        for line in drains
        if line["contender"] == loop and "rate" in line
    }
    found = []
    for name in dict.fromkeys(line["contender"] for line in drains):
        lines = [line for line in drains if line["contender"] == name]
        good = [line for line in lines if "rate" in line]
        errors = [line["error"] for line in lines if "error" in line]
        found.append(
            Row(
                contender=name,
                rates=tuple(line["rate"] for line in good),
                cpus=tuple(line["cpu_us"] for line in good),
                ratios=tuple(
                    line["rate"] / at_loop[line["round"]]
                    for line in good
                    if line["round"] in at_loop
                ),
                peak_mib=max((line["peak_mib"] for line in good), default=0.0),
                lacking=max((line["expected"] - line["predictions"] for line in good), default=0),
                guarantee=lines[0].get("guarantee", ""),
                error=errors[-1] if errors else "",
            )
        )
    return found


def table(found: Sequence[Row], trials: Mapping[str, Mapping[str, str]]) -> str:
    """The rows as Markdown; `trials`: by contender what a malformed record and a kill did."""
    head = (
        "|  | events/s | CPU us an event | of the loop | peak MiB | guarantee | a malformed record "
        "| kill -9 |\n|---|---:|---:|---:|---:|---|---|---|"
    )
    return "\n".join([head, *(_line(row, trials.get(row.contender, {})) for row in found)])


def _line(row: Row, trial: Mapping[str, str]) -> str:
    if not row.rates:
        return f"| {row.contender} | did not run: {row.error} | | | | | | |"
    rate = f"{row.rate:,.0f}{spread(row.rates, '{:,.0f}')}"
    ratio = "" if not row.ratios else f"{statistics.median(row.ratios):.2f}"
    ratio += spread(row.ratios, "{:.2f}")
    guarantee = row.guarantee
    if row.lacking > 0 and row.contender != "work alone":
        guarantee += f"; {row.lacking} predictions lacked"
    cells = (
        row.contender, rate, f"{row.cpu_us:.1f}{spread(row.cpus, '{:.1f}')}", ratio,
        f"{row.peak_mib:.0f}", guarantee, trial.get("malformed", "not tried"),
        trial.get("kill", "not tried"),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def spread(values: Sequence[float], form: str) -> str:
    """The lowest and the highest of several values, in brackets, each told by `form`."""
    if len(values) < 2:
        return ""
    return f" ({form.format(min(values))} to {form.format(max(values))})"
