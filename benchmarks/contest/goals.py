"""What the worker is to reach, and what a run says of it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from benchmarks.contest.contenders import ALONE, LOOP, WORKER

__all__ = ["GOALS", "Goal", "Verdict", "judged"]

Measure = Literal["rate", "cpu_us", "p99_ms", "idle_percent", "first_seconds"]

_IN_PYTHON: Final = "loop, in Python"
_EXACTLY_ONCE: Final = f"{WORKER}, exactly once"
_NOT_ALIGNED: Final = f"{WORKER}, not aligned"


@dataclass(frozen=True)
class Goal:
    """A ratio of two contenders' figures, or one figure, taken in each round; and the bound of its median."""

    text: str
    contender: str
    other: str | None
    """A name, or `peers`: each peer that published all, the best of which counts. None: the figure itself is
    meant."""
    measure: Measure
    bound: float
    at_least: bool = True
    """Else at most."""
    load: int | None = None
    """Of a latency: records a second."""

    def is_met(self, ratio: float) -> bool:
        """Whether a ratio reaches the bound."""
        return ratio >= self.bound if self.at_least else ratio <= self.bound


def _against_the_loop(name: str, mode: str) -> tuple[Goal, Goal]:
    return (
        Goal(f"rate, aligned, {mode}, of the loop in Python", name, _IN_PYTHON, "rate", 1.3),
        Goal(
            f"CPU, aligned, {mode}, of the loop in Python", name, _IN_PYTHON, "cpu_us", 0.75, False
        ),
    )


def _of_latency(load: int) -> Iterable[Goal]:
    for other in (LOOP, "peers"):
        yield Goal(f"p99 at {load:,}/s, of {other}", WORKER, other, "p99_ms", 0.5, False, load)


GOALS: Final = (
    *_against_the_loop(WORKER, "at least once"),
    *_against_the_loop(_EXACTLY_ONCE, "exactly once"),
    Goal("rate, not aligned, of the compiled loop", _NOT_ALIGNED, LOOP, "rate", 1.0),
    Goal("rate, aligned, of the compiled loop", WORKER, LOOP, "rate", 0.85),
    Goal("rate, of the work alone", WORKER, ALONE, "rate", 0.75),
    Goal("rate, of the best peer", WORKER, "peers", "rate", 1.3),
    Goal("rate, of Faust per event", WORKER, "Faust, per event", "rate", 25.0),
    Goal("rate, of Faust with take", WORKER, "Faust, take", "rate", 8.0),
    Goal("rate, exactly once of at least once", _EXACTLY_ONCE, WORKER, "rate", 0.95),
    Goal("seconds to the first records finished", WORKER, None, "first_seconds", 3.0, False),
    Goal("percent of a core, idle", WORKER, None, "idle_percent", 2.0, False),
    *_of_latency(2_000),
    *_of_latency(10_000),
)


@dataclass(frozen=True)
class Verdict:
    """What a run says of a goal."""

    goal: Goal
    ratio: float | None
    """Or the figure; None where it was not measured, or one of the two was not."""

    @property
    def text(self) -> str:
        """For people: "met: 1.41 of 1.3", "short: 1.12 of 1.3", "not measured"."""
        if self.ratio is None:
            return "not measured"
        word = "met" if self.goal.is_met(self.ratio) else "short" if self.goal.at_least else "over"
        return f"{word}: {self.ratio:.2f} of {self.goal.bound:g}"


def judged(lines: Sequence[Mapping[str, Any]], peers: Iterable[str]) -> list[Verdict]:
    """The verdict on each goal; `lines` of one run or of several, `peers` by name."""
    peers = tuple(peers)
    return [Verdict(goal, _ratio(goal, lines, peers)) for goal in GOALS]


def _ratio(goal: Goal, lines: Sequence[Mapping[str, Any]], peers: Sequence[str]) -> float | None:
    ours = _figures(goal, goal.contender, lines)
    if goal.other is None:
        return statistics.median(ours.values()) if ours else None
    others = peers if goal.other == "peers" else (goal.other,)
    # Some count a record when it is computed, and are ended before what came of it is published.
    whole = [line for line in lines if line.get("predictions") == line.get("expected")]
    ratios = []
    for other in others:
        theirs = _figures(goal, other, whole if goal.other == "peers" else lines)
        rounds = ours.keys() & theirs.keys()
        if rounds:
            ratios.append(statistics.median(ours[each] / theirs[each] for each in rounds))
    if not ratios:
        return None
    # The opponent that is hardest to beat.
    return min(ratios) if goal.at_least else max(ratios)


def _figures(goal: Goal, contender: str, lines: Sequence[Mapping[str, Any]]) -> dict[Any, float]:
    """By run and round."""
    return {
        (line["run"], line["round"]): line[goal.measure]
        for line in lines
        if line["contender"] == contender and goal.measure in line and line.get("load") == goal.load
    }
