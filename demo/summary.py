"""The end of the demonstration, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from demo.fates import Fates

__all__ = ["Accuracy", "Summary"]


@dataclass(frozen=True)
class Accuracy:
    """How well the scores rank the flights that have landed; None without both outcomes."""

    labels: int
    """Flights that were predicted and have landed."""
    auc: float | None
    """Of the scores that were served."""
    auc_static: float | None
    """Of the static model, which knows nothing but the timetable."""
    auc_offline: float | None
    """Of the champion after a replay of the same events."""
    same_as_offline: float | None
    """Share of all served scores that are the replay's, to the last bit."""


@dataclass(frozen=True)
class Summary:
    """What the demonstration has shown. Times in seconds."""

    mode: str
    """``live``, or ``backlog``: everything was produced before the worker started."""
    speed: float
    """Seconds of December in one, as it turned out."""
    fates: Fates
    accuracy: Accuracy
    latency_p50_seconds: float | None
    latency_p99_seconds: float | None
    grace_seconds: float
    """What the accelerated clock adds to the latency."""
    worker_exit_code: int | None
    """None while it still runs."""
    finished: bool
    """Whether the worker got through before the demonstration stopped waiting."""
    seconds: float
    example: bytes | None
    """A prediction as its topic holds it."""

    @property
    def ok(self) -> bool:
        """Whether every event met its fate and the worker ended in good order."""
        return self.finished and self.fates.good and not self.worker_exit_code

    def as_json(self) -> dict[str, Any]:
        """Plain data, for ``--json``."""
        fates, accuracy = self.fates, self.accuracy
        return {
            "events": fates.events,
            "valid": fates.valid,
            "malformed": fates.malformed,
            "predicted": fates.predicted,
            "state_only": fates.state_only,
            "dead_lettered": fates.dead_lettered,
            "lost": fates.lost,
            "double": fates.double,
            "unexpected": len(fates.unexpected),
            "auc": _rounded(accuracy.auc),
            "auc_static": _rounded(accuracy.auc_static),
            "auc_offline": _rounded(accuracy.auc_offline),
            "same_as_offline": _rounded(accuracy.same_as_offline),
            "labels": accuracy.labels,
            "latency_p50_seconds": _rounded(self.latency_p50_seconds),
            "latency_p99_seconds": _rounded(self.latency_p99_seconds),
            "seconds": round(self.seconds, 1),
            "mode": self.mode,
            "speed": round(self.speed),
            "served_by": dict(fates.served_by),
            "dead_letters": dict(sorted(fates.dead_letters.items())),
            "ok": self.ok,
        }

    def lines(self) -> list[str]:
        """What a person is told."""
        fates, accuracy = self.fates, self.accuracy
        sent = f"{fates.valid:,} events of December 2013, {fates.malformed:,} malformed"
        landed = f"{accuracy.labels:,} flights that were predicted and have landed"
        took = f"The state was empty at the start. It took {self.seconds:.0f} s."
        return [
            f"What became of {fates.events:,} records: {sent}",
            "",
            f"  predicted      {fates.predicted:>8,}  {_counted(fates.served_by, 'served by the ')}",
            f"  state only     {fates.state_only:>8,}",
            f"  dead-lettered  {fates.dead_lettered:>8,}  {_counted(fates.dead_letters)}",
            f"  lost           {fates.lost:>8,}",
            f"  double         {fates.double:>8,}",
            *self._problems(),
            "",
            f"  AUC of the champion      {_three(accuracy.auc)}  on {landed}",
            f"  AUC of the static model  {_three(accuracy.auc_static)}  on the same flights",
            f"  AUC offline             {_three(accuracy.auc_offline)}  {self._likeness()}",
            f"  latency                  {self._latency()}",
            "",
            f"{took} All but the AUC is counted from the topics.",
            *self._example(),
        ]

    def _example(self) -> list[str]:
        if self.example is None:
            return []
        # With spaces, so that the line can be broken.
        return ["", "One of the predictions:", "", f"  {json.dumps(json.loads(self.example))}"]

    def _problems(self) -> list[str]:
        problems = list(self.fates.unexpected[:5])
        if (more := len(self.fates.unexpected) - len(problems)) > 0:
            problems.append(f"{more:,} more of this kind.")
        if not self.finished:
            problems.append("The worker was not through when the demonstration stopped waiting.")
        if self.worker_exit_code:
            problems.append(f"The worker ended with code {self.worker_exit_code}.")
        return ["", *(f"  PROBLEM: {problem}" for problem in problems)] if problems else []

    def _likeness(self) -> str:
        same = self.accuracy.same_as_offline
        share = "no scores" if same is None else f"{same:.2%} of the served scores"
        best = ", live is best effort" if self.mode == "live" else ""
        return f"on the same flights; {share} are exactly the replay's{best}"

    def _latency(self) -> str:
        p50, p99 = self.latency_p50_seconds, self.latency_p99_seconds
        if p50 is None or p99 is None:
            return "no predictions"
        if self.mode == "backlog":
            return f"p50 {p50:.2f} s, p99 {p99:.2f} s, most of it waiting for the worker to start"
        grace = f"{self.grace_seconds * 1_000:.0f} ms of it wait for other partitions"
        return (
            f"p50 {p50 * 1_000:.0f} ms, p99 {p99 * 1_000:.0f} ms from event to prediction; "
            f"{grace}, as the clock is {self.speed:,.0f} times too fast"
        )


def _counted(counts: Mapping[str, int], before: str = "") -> str:
    most = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    text = ", ".join(f"{name} {count:,}" for name, count in most)
    return before + text if text else ""


def _three(value: float | None) -> str:
    return "  -  " if value is None else f"{value:.3f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
