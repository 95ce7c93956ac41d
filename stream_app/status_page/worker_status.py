"""What is known of a worker: its figures over the last minutes, and the document that tells them.

The figures are those of `/metrics`, read every two seconds: the path of a record pays nothing for
them. Lags are asked for at the same moments, so they are true while the work is stuck.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from stream_app.kafka.end_offsets import PartitionLag
from stream_app.observer.events import PartitionStopped
from stream_app.status_page.notes import Notes
from stream_app.status_page.partitions import PartitionHistory
from stream_app.status_page.problems import (
    Lag,
    Problem,
    Wait,
    WorkerFacts,
    WorkInHand,
    since_when,
    worker_problems,
)
from stream_app.status_page.sampling import step_now
from stream_app.status_page.series import STEP_SECONDS, STEPS, Series, quantiles
from stream_app.telemetry.health import TAKES_RECORDS, Health
from stream_app.telemetry.metrics import Metrics

__all__ = ["Identity", "WorkerStatus"]

FORMAT: Final = 1
"""Of the document; it changes when something in it changes its meaning."""

_OUTCOMES: Final = ("predicted", "state_only", "dead_lettered", "skipped")
_MINUTE: Final = round(60.0 / STEP_SECONDS)
_FIVE_MINUTES: Final = 5 * _MINUTE
_LATENCY_STEPS: Final = 5
"""Steps that a point of the latency's plot looks back on: one step alone may hold few records."""
_SHARES: Final = (0.5, 0.9, 0.99)
_QUANTILES: Final = ("p50", "p90", "p99")
_OLD_WORK_SECONDS: Final = 5.0

_Labels = tuple[str, ...]
_Counts = npt.NDArray[np.float32]
"""Of latencies, of shape (steps, buckets)."""


class Identity(NamedTuple):
    """Which worker it is."""

    application: str
    worker: str
    """Its member id where it is static, else host and process."""
    version: str
    model: str
    model_version: str
    models: tuple[str, ...]
    """All models, the champion first."""


class _Rates:
    """A counter with labels as what it grew by in each step."""

    def __init__(self) -> None:
        self._seen: dict[_Labels, float] = {}
        self._series: dict[_Labels, Series] = {}

    def take(self, step: int, now: dict[_Labels, float]) -> None:
        for labels, value in now.items():
            self._series.setdefault(labels, Series()).set(step, value - self._seen.get(labels, 0.0))
        self._seen = now

    def total(self, steps: int, until: int) -> Counter[_Labels]:
        """By how much each grew in so many steps; those that did not grow are left out."""
        sums = {key: float(each.total(steps, until)[0]) for key, each in self._series.items()}
        return Counter({key: value for key, value in sums.items() if value > 0.0})

    def per_second(self, first: str, until: int) -> list[float | None]:
        """The rate of those whose first label is this, in each step; None where nothing is known."""
        chosen = [each.last(STEPS, until) for key, each in self._series.items() if key[0] == first]
        return as_json(_sum(chosen) / STEP_SECONDS, 1)


class WorkerStatus:
    """Takes the figures down, and tells them; `sample` on one thread, `document` on any."""

    def __init__(
        self,
        identity: Identity,
        metrics: Metrics,
        health: Health,
        notes: Notes,
        *,
        lags: Callable[[], Iterable[PartitionLag]],
        in_hand: Callable[[float], WorkInHand | None],
        clock: Callable[[], float] = time.time,
        step_now: Callable[[], int] = step_now,
    ) -> None:
        """`lags`: of the partitions held now. `in_hand`: the oldest work above an age in seconds.
        `clock`: seconds since the epoch."""
        self._identity = identity
        self._metrics = metrics
        self._health = health
        self._notes = notes
        self._ask_lags = lags
        self._in_hand = in_hand
        self._clock = clock
        self._step_now = step_now
        self._begun = clock()
        self._records, self._predictions = _Rates(), _Rates()
        self._dead_letters, self._state = _Rates(), _Rates()
        self._bounds = metrics.latency.bounds
        self._latency = Series(len(self._bounds) + 1)
        self._latency_seen = np.array(metrics.latency.counts(), np.float64)
        self._lags: list[Lag] = []
        self._partitions = PartitionHistory()
        self._waiting: dict[str, Wait] = {}
        self._began: dict[str, float] = {}
        self._problems: list[Problem] = []
        self._well = ""
        self._step = -1

    def sample(self, step: int) -> None:
        """Take the figures of a step down."""
        self._step, metrics = step, self._metrics
        self._records.take(step, metrics.now("records"))
        self._predictions.take(step, metrics.now("predictions"))
        self._dead_letters.take(step, metrics.now("dead_letters"))
        counts = ("state_conflicts", "rebuilt_records", "state_ahead")
        self._state.take(step, {(name,): metrics.now(name)[()] for name in counts})
        latency = np.array(metrics.latency.counts(), np.float64)
        self._latency.set(step, *(latency - self._latency_seen))
        self._latency_seen = latency
        self._lags = [Lag(*each) for each in self._ask_lags()]
        self._partitions.take(step, self._lags)
        self._note_waits()
        facts = self._facts(step)
        self._well = "All is well" if facts.why == TAKES_RECORDS else facts.why
        self._problems, self._began = since_when(worker_problems(facts), self._began, self._clock())

    def document(self) -> dict[str, Any]:
        """All that is known, of values that JSON has; docs/status-page.md says what each means."""
        # Where nothing was taken down lately, the plots say so by a gap.
        until = max(self._step, self._step_now() - 1)
        latency = self._latency.last(STEPS + _LATENCY_STEPS, until)
        rebuilding, rebuilding_since = self._notes.rebuilding
        in_hand = self._in_hand(_OLD_WORK_SECONDS)
        minute = self._state.total(_MINUTE, until)
        return {
            "format": FORMAT,
            "kind": "worker",
            "at": round(self._clock(), 1),
            "since": round(self._begun, 1),
            "name": self._identity.application,
            **self._identity._asdict(),
            "well": self._well,
            "detail": self._detail(until),
            "problems": [each.as_json() for each in self._problems],
            "step_seconds": STEP_SECONDS,
            "throughput": {
                name: self._records.per_second(name, until) for name in _OUTCOMES
            },
            "latency": {
                "last_minute": self._latency_of_all(latency[-_MINUTE:]),
                **self._latency_history(latency),
            },
            "lag": self._partitions.all.as_json(until),
            "partitions": self._partitions.as_json(self._lags, until),
            "held_records": int(self._metrics.now("held_records")[()]),
            "serving": self._serving(until),
            "dead_letters": {
                "last_ten_minutes": self._counted_letters(until),
                "latest": self._notes.letters(),
            },
            "state": {
                "rebuilding_partitions": rebuilding,
                "rebuilding_since": rebuilding_since,
                "rebuilt_records_last_minute": int(minute[("rebuilt_records",)]),
                "conflicts_last_minute": int(minute[("state_conflicts",)]),
                "ahead_last_minute": int(minute[("state_ahead",)]),
            },
            "stopped_partitions": [_stopped(each) for each in self._notes.stopped],
            "waits": [each._asdict() for each in self._waiting.values()],
            "in_hand": in_hand and {
                "stage": in_hand.stage,
                "seconds": round(in_hand.seconds, 1),
                "records": in_hand.records,
            },
            "happenings": self._notes.happenings(),
        }  # fmt: skip

    def _detail(self, until: int) -> str:
        done = self._records.total(_MINUTE, until).total()
        latest = "no record" if not done else f"{done:,.0f} records"
        return f"{latest} in the last minute; {len(self._lags)} partitions are held"

    def _note_waits(self) -> None:
        now = self._clock()
        waiting = {
            each.service: Wait(each.service, now - each.seconds, each.why)
            for each in self._health.waits()
        }
        for service, wait in waiting.items():
            known = self._waiting.get(service)
            if known is None:
                self._notes.happened(f"{service} is away{f': {wait.why}' if wait.why else ''}")
            else:  # the clock may have been set meanwhile
                waiting[service] = wait._replace(since=known.since)
        for service, known in self._waiting.items():
            if service not in waiting:
                self._notes.happened(f"{service} is back after {now - known.since:.0f} s")
        self._waiting = waiting

    def _facts(self, step: int) -> WorkerFacts:
        ready = self._health.readiness()
        letters = self._dead_letters.total(_FIVE_MINUTES, step)
        bugs = Counter({key: count for key, count in letters.items() if key[3] == "bug"})
        predictions = self._predictions.total(_FIVE_MINUTES, step)
        others = Counter({key: n for key, n in predictions.items() if key[2] != "champion"})
        return WorkerFacts(
            is_ready=ready.ok,
            why=ready.why,
            waits=list(self._waiting.values()),
            in_hand=self._in_hand(_OLD_WORK_SECONDS),
            lags=self._lags,
            grows=self._partitions.all.grows(step),
            stopped=self._notes.stopped,
            records=self._records.total(_FIVE_MINUTES, step).total(),
            dead_letters=letters.total(),
            bugs=bugs.total(),
            worst_reason=_most(letters, lambda key: f"{key[2]} in {key[0]}"),
            worst_bug=_most(bugs, lambda key: f"{key[2]} at stage {key[1]}, in {key[0]}"),
            predictions=predictions.total(),
            fallback=others.total(),
            degraded=_most(others, lambda key: key[3] or "no reason"),
            rebuilding=self._notes.rebuilding[0],
            gone=self._notes.gone,
        )

    def _serving(self, until: int) -> list[dict[str, Any]]:
        counted = self._predictions.total(_MINUTE, until)
        total = counted.total()
        return [
            {
                "model": model, "version": version, "served_by": served_by,
                "degraded": degraded or None, "last_minute": int(count),
                "share": round(count / total, 4),
            }
            for (model, version, served_by, degraded), count in counted.most_common()
        ]  # fmt: skip

    def _counted_letters(self, until: int) -> list[dict[str, Any]]:
        names = ("topic", "stage", "reason", "disposition")
        return [
            {**dict(zip(names, key, strict=True)), "count": int(count)}
            for key, count in self._dead_letters.total(STEPS, until).most_common()
        ]

    def _latency_of_all(self, counts: _Counts) -> dict[str, float | None]:
        found = quantiles(np.nansum(counts, axis=0, keepdims=True), self._bounds, _SHARES)[0]
        return dict(zip(_QUANTILES, _three_digits(found), strict=True))

    def _latency_history(self, counts: _Counts) -> dict[str, list[float | None]]:
        running = np.cumsum(np.nan_to_num(counts), axis=0, dtype=np.float64)
        found = quantiles(
            running[_LATENCY_STEPS:] - running[:-_LATENCY_STEPS], self._bounds, _SHARES
        )
        return dict(zip(_QUANTILES, map(_three_digits, found.T), strict=True))


def as_json(values: Any, digits: int) -> list[float | None]:
    """Numbers rounded; what is not known is None."""
    return [None if math.isnan(each) else round(each, digits) for each in values.tolist()]


def _stopped(told: PartitionStopped) -> dict[str, Any]:
    return {
        "topic": told.partition.topic,
        "partition": told.partition.number,
        "offset": told.offset,
        "since": told.since,
        "why": told.why,
    }


def _sum(series: Sequence[Any]) -> Any:
    """By step; a step is unknown where every one of them is."""
    if not series:
        return np.full(STEPS, np.nan)
    values = np.concatenate(series, axis=1)
    return np.where(np.isnan(values).all(axis=1), np.nan, np.nansum(values, axis=1))


def _most(counted: Counter[_Labels], named: Callable[[_Labels], str]) -> str:
    return named(counted.most_common(1)[0][0]) if counted else ""


def _three_digits(values: npt.NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(each) else float(f"{each:.3g}") for each in values.tolist()]
