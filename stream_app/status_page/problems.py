"""What is wrong with a worker, the worst first, in sentences for a person.

The thresholds are those of the alerts in `deploy/prometheus/alerts.yml`, and the sections those of
the runbook.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol

from stream_app.observer.events import PartitionStopped
from stream_app.text.named import named

__all__ = [
    "Lag",
    "Level",
    "Problem",
    "Wait",
    "WorkInHand",
    "WorkerFacts",
    "since_when",
    "worker_problems",
]

Level = Literal["trouble", "notice"]

_LAG_SECONDS: Final = 60.0
_BEHIND_SECONDS: Final = 10.0
_STUCK_SECONDS: Final = 10.0
_BUG_SHARE: Final = 0.01
_LETTER_SHARE: Final = 0.05
_FALLBACK_SHARE: Final = 0.01


class Problem(NamedTuple):
    """Something that a person should know, and what to do about it."""

    key: str
    """Tells it from others; the same as long as it lasts."""
    level: Level
    sentence: str
    """What is wrong; without figures that change, so that a screen reader tells it once."""
    do: str
    runbook: str = ""
    """Section of the runbook."""
    detail: str = ""
    """The figures, now."""
    since: float | None = None
    """In seconds since the epoch."""

    def as_json(self) -> dict[str, Any]:
        """Its fields by name."""
        return self._asdict()


class Wait(NamedTuple):
    """A service that is waited for."""

    service: str
    since: float
    """In seconds since the epoch."""
    why: str


class WorkInHand(Protocol):
    """The oldest work that a thread has in hand and waits for no service with."""

    @property
    def stage(self) -> str:
        """Where it is."""

    @property
    def seconds(self) -> float:
        """For how long."""

    @property
    def records(self) -> str:
        """As ``orders[3] 17-240``."""


class Lag(NamedTuple):
    """How far behind a partition is."""

    topic: str
    partition: int
    records: int | None
    seconds: float | None

    @property
    def name(self) -> str:
        """As operators write it."""
        return f"{self.topic}[{self.partition}]"


class WorkerFacts(NamedTuple):
    """What `worker_problems` judges by; counts are those of the last five minutes."""

    is_ready: bool
    why: str
    """Why it is not ready, or a remark."""
    waits: Sequence[Wait] = ()
    in_hand: WorkInHand | None = None
    lags: Sequence[Lag] = ()
    grows: bool = False
    """Whether more records wait than a minute ago."""
    stopped: Sequence[PartitionStopped] = ()
    records: float = 0.0
    dead_letters: float = 0.0
    bugs: float = 0.0
    """Dead letters for mistakes in code."""
    worst_reason: str = ""
    """Of most dead letters, with its topic."""
    worst_bug: str = ""
    predictions: float = 0.0
    fallback: float = 0.0
    """Predictions that were not the champion's."""
    degraded: str = ""
    """Why, for most of them."""
    rebuilding: int = 0
    """Partitions whose state is rebuilt."""
    gone: str = ""
    """Partitions of which records were deleted before they were read, in the last ten minutes."""


def worker_problems(facts: WorkerFacts) -> list[Problem]:
    """What is wrong, the worst first."""
    found = [
        *_services(facts),
        *_standing_still(facts),
        *_stopped(facts),
        *_gone(facts),
        *_refused_records(facts),
        *_lag(facts),
        *_served_otherwise(facts),
    ]
    return sorted(found, key=lambda problem: problem.level != "trouble")


def since_when(
    problems: Iterable[Problem], known: dict[str, float], now: float
) -> tuple[list[Problem], dict[str, float]]:
    """The problems with when each began, and what to pass as `known` the next time."""
    told = [p if p.since is not None else p._replace(since=known.get(p.key, now)) for p in problems]
    return told, {problem.key: problem.since or now for problem in told}


def _services(facts: WorkerFacts) -> Iterator[Problem]:
    for wait in facts.waits:
        yield Problem(
            f"wait {wait.service}",
            "trouble",
            f"The worker waits for {wait.service}{f': {wait.why}' if wait.why else ''}",
            "Bring it back. The worker goes on by itself and loses nothing; a restart would not help.",
            "StreamAppWaitingForService",
            since=wait.since,
        )
    if not facts.is_ready and not facts.waits and not facts.stopped:
        yield Problem(
            f"not ready {facts.why}",
            "notice",
            facts.why or "The worker is not ready.",
            "Wait a moment; its log says what it does. Where this lasts, look at the runbook.",
            "StreamAppWorkerDown",
        )


def _standing_still(facts: WorkerFacts) -> Iterator[Problem]:
    work = facts.in_hand
    if work is not None and work.seconds > _STUCK_SECONDS:
        yield Problem(
            f"stuck {work.stage}",
            "trouble",
            f"The work stands still at stage {work.stage}, on {work.records}",
            "Nothing yet: where it is stuck for good the worker ends by itself after "
            "work_deadline_seconds and names the line of code.",
            "StreamAppGroupStands",
            f"for {work.seconds:.0f} s",
        )


def _stopped(facts: WorkerFacts) -> Iterator[Problem]:
    if facts.stopped:
        names = [str(each.partition) for each in facts.stopped]
        yield Problem(
            f"stopped {', '.join(names)}",
            "trouble",
            f"Too many records were refused, so nothing is taken of {named(names)}",
            "Nothing is lost meanwhile. Have the producer or the code that reads the records mended, or give "
            "the bad run up with `stream-app resume`, before the topic's retention deletes the records.",
            "StreamAppFloodStop",
            f"{names[0]}, from offset {facts.stopped[0].offset:,} on: {facts.stopped[0].why}",
            since=min(each.since for each in facts.stopped),
        )


def _gone(facts: WorkerFacts) -> Iterator[Problem]:
    if facts.gone:
        yield Problem(
            "gone",
            "trouble",
            f"The brokers deleted records before they were read: {facts.gone}",
            "Lengthen the topic's retention now, before more goes.",
            "StreamAppRecordsGone",
        )


def _refused_records(facts: WorkerFacts) -> Iterator[Problem]:
    if facts.bugs > _BUG_SHARE * facts.records and facts.bugs:
        yield Problem(
            "bugs",
            "trouble",
            f"Code fails on records: {facts.worst_bug}",
            "Roll the last release back or mend it, then replay the dead letters.",
            "StreamAppBugs",
            f"{facts.bugs:,.0f} of the last {facts.records:,.0f} records",
        )
    elif facts.dead_letters > _LETTER_SHARE * facts.records and facts.dead_letters:
        yield Problem(
            "dead letters",
            "trouble",
            f"More than one record in twenty is refused, most of them for {facts.worst_reason}",
            "Nothing is lost meanwhile. Find the producer that has changed: the latest dead letters "
            "below say what is wrong with them.",
            "StreamAppDeadLetters",
            f"{facts.dead_letters:,.0f} of the last {facts.records:,.0f} records",
        )


def _lag(facts: WorkerFacts) -> Iterator[Problem]:
    behind = [lag for lag in facts.lags if lag.seconds is not None]
    worst = max(behind, key=lambda lag: lag.seconds or 0.0, default=None)
    if worst is None or worst.seconds is None or worst.seconds <= _BEHIND_SECONDS:
        return
    others = sum((lag.seconds or 0.0) > _BEHIND_SECONDS for lag in behind) - 1
    waiting = "" if worst.records is None else f", {worst.records:,} records"
    more = f"; {others} more partitions are behind" if others else ""
    detail = f"{worst.name}: {worst.seconds:,.0f} s{waiting}{more}"
    if worst.seconds > _LAG_SECONDS:
        yield Problem(
            "lag",
            "trouble" if facts.grows else "notice",
            "The worker is more than a minute behind, and "
            + ("more records wait than a minute ago" if facts.grows else "it catches up"),
            "Add workers, up to one a partition, unless a service is slow: see the runbook."
            if facts.grows
            else "Nothing, unless it takes too long: then add workers, up to one a partition.",
            "StreamAppLag",
            detail,
        )
    else:
        yield Problem(
            "behind", "notice", "The worker is behind by some seconds", "Nothing yet.",
            "StreamAppLag", detail,
        )  # fmt: skip


def _served_otherwise(facts: WorkerFacts) -> Iterator[Problem]:
    if facts.rebuilding:
        yield Problem(
            "rebuilding",
            "notice",
            "State is rebuilt from the log; meanwhile a fallback serves, or records wait",
            "Let it finish, and find out why Redis lost what it had: a flush, a restore, a failover.",
            "StreamAppStateRebuilding",
            f"{facts.rebuilding} partitions",
        )
    elif facts.fallback > _FALLBACK_SHARE * facts.predictions and facts.fallback:
        yield Problem(
            "fallback",
            "trouble",
            f"A fallback serves instead of the champion, for {facts.degraded}",
            "The reason says what to do; the runbook has it.",
            "StreamAppFallbackServes",
            f"{facts.fallback:,.0f} of the last {facts.predictions:,.0f} predictions",
        )
