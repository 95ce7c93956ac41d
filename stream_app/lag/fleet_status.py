"""Groups seen from outside, as the status page shows them: their last minutes, and what is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from stream_app import __version__
from stream_app.lag.verdict import Verdict
from stream_app.lag.watch import Known, PartitionLag, Sight
from stream_app.status_page.partitions import LagHistory, PartitionHistory
from stream_app.status_page.problems import Lag, Problem, since_when
from stream_app.status_page.sampling import step_now
from stream_app.status_page.series import STEP_SECONDS, STEPS, Series
from stream_app.status_page.worker_status import FORMAT
from stream_app.text.named import named

__all__ = ["FleetStatus", "group_problems"]

_OLD_SECONDS: Final = 60.0
_LAG_SECONDS: Final = 60.0

_SAYS: Final = {
    Verdict.STALL: (
        "StreamAppGroupStands", "trouble", "does not get on, though a member holds it: {}",
        "Look at the worker that holds it: its status page, or its log.",
    ),
    Verdict.STOP: (
        "StreamAppGroupStands", "trouble", "has records that wait, and nobody holds {}",
        "Start a worker, or find out what keeps the group from settling.",
    ),
    Verdict.FLOOD: (
        "StreamAppFloodStop", "trouble", "has stopped, for too many records were refused: {}",
        "`stream-app resume` says what can be done.",
    ),
    Verdict.REWIND: (
        "StreamAppGroupRewound", "notice", "was set back to records that it had done: {}",
        "Find out who reset its offsets. Predictions come again, with the ids of the first.",
    ),
    Verdict.WARNING: (
        "StreamAppGroupLag", "notice", "falls behind at {}",
        "Add workers, up to one a partition, unless a service is slow.",
    ),
}  # fmt: skip


class _Group:
    """What is kept of a group."""

    def __init__(self, sight: Sight) -> None:
        self.sight = sight
        self.partitions = PartitionHistory()
        self.rate = Series()

    def take(self, step: int, now: float) -> None:
        """Take a step down."""
        known = self.sight.known
        self.partitions.take(step, _drawn(known, now))
        self.rate.set(step, float("nan") if _is_unseen(known, now) else _rate(known))


class FleetStatus:
    """Takes the figures of groups down, and tells them; `sample` on one thread, `document` on any."""

    def __init__(
        self,
        sights: Sequence[Sight],
        clock: Callable[[], float] = time.time,
        step_now: Callable[[], int] = step_now,
    ) -> None:
        """`clock`: seconds since the epoch."""
        self._groups = [_Group(sight) for sight in sights]
        self._lag = LagHistory()
        self._clock = clock
        self._step_now = step_now
        self._begun = clock()
        self._step = -1
        self._began: dict[str, float] = {}
        self._problems: list[Problem] = []

    def sample(self, step: int) -> None:
        """Take the figures of a step down."""
        now = self._clock()
        self._step = step
        for group in self._groups:
            group.take(step, now)
        known = [each.sight.known for each in self._groups]
        self._lag.take(step, [lag for each in known for lag in _drawn(each, now)])
        found = [
            problem
            for group in self._groups
            for problem in group_problems(group.sight.group, group.sight.known, now)
        ]
        self._problems, self._began = since_when(
            sorted(found, key=lambda each: each.level != "trouble"), self._began, now
        )

    def document(self) -> dict[str, Any]:
        """All that is known, of values that JSON has; docs/status-page.md says what each means."""
        now, until = self._clock(), max(self._step, self._step_now() - 1)
        known = [(group, group.sight.known) for group in self._groups]
        return {
            "format": FORMAT,
            "kind": "fleet",
            "at": round(now, 1),
            "since": round(self._begun, 1),
            "name": ", ".join(group.sight.group for group in self._groups),
            "version": __version__,
            "well": "All is well",
            "detail": f"{sum(len(each.lags) for _, each in known):,} partitions are watched",
            "problems": [each.as_json() for each in self._problems],
            "step_seconds": STEP_SECONDS,
            "lag": self._lag.as_json(until),
            "groups": [_summary(group, each, now, until) for group, each in known],
            "partitions": [
                {"group": group.sight.group, **told}
                for group, each in known
                for told in _partitions(group, each, now, until)
            ],
        }


def group_problems(group: str, known: Known, now: float) -> Iterator[Problem]:
    """What is wrong with a group; `now` in seconds since the epoch."""
    if not known.is_seen:
        yield Problem(
            f"{group} awaited",
            "trouble" if _is_old(known, now) else "notice",
            f"The brokers have not answered yet: nothing is known of group {group}",
            "See whether the brokers answer anybody, and at the log of `stream-app lag`, which says what it "
            "waits for.",
            "StreamAppGroupUnseen",
            known.why,
            since=known.at,
        )
        return
    if not known.lags:
        yield Problem(
            f"{group} unknown",
            "trouble",
            f"Nothing is known of group {group}: it has committed no offset, or its topics are gone",
            "See whether its topics, or the group itself, were deleted, and whether its name is right.",
            "StreamAppGroupAbsent",
        )
    if _is_unseen(known, now):
        yield Problem(
            f"{group} unseen",
            "trouble" if _is_old(known, now) else "notice",
            f"How far group {group} is behind is not known now: the brokers do not tell it",
            "See whether the brokers answer anybody, and at the log of `stream-app lag`. The figures of the "
            "group are those that were told last.",
            "StreamAppGroupUnseen",
            known.why,
            since=known.at,
        )
    waiting = any(lag.waiting.records for lag in known.lags)
    if waiting and not _members(known):
        yield Problem(
            f"{group} absent",
            "trouble",
            f"Group {group} has no members, and records wait",
            "Start a worker; the log of the last one says why it ended.",
            "StreamAppGroupAbsent",
        )
    else:
        yield from _by_verdict(group, known)
    late = [lag for lag in known.lags if (lag.seconds(now) or 0.0) > _LAG_SECONDS]
    if late:
        worst = max(late, key=lambda lag: lag.seconds(now) or 0.0)
        drain = "" if worst.drain_seconds is None else f", done in {worst.drain_seconds:,.0f} s"
        yield Problem(
            f"{group} late",
            "trouble" if worst.drain_seconds is None else "notice",
            f"Group {group} is more than a minute behind"
            + ("" if worst.drain_seconds is None else ", and catches up"),
            "Look at the verdict of each partition; where it is warning, add workers.",
            "StreamAppGroupLag",
            f"{worst.partition}: {worst.seconds(now) or 0.0:,.0f} s, "
            f"{worst.waiting.records:,} records{drain}",
        )


def _by_verdict(group: str, known: Known) -> Iterator[Problem]:
    for verdict, (section, level, sentence, do) in _SAYS.items():
        names = [str(lag.partition) for lag in known.lags if lag.verdict is verdict]
        if names:
            yield Problem(
                f"{group} {verdict.value}",
                "trouble" if level == "trouble" else "notice",
                f"Group {group} " + sentence.format(named(names)),
                do,
                section,
            )


def _is_old(known: Known, now: float) -> bool:
    """Whether nobody has known for long how the group stands."""
    return now - known.at > _OLD_SECONDS


def _is_unseen(known: Known, now: float) -> bool:
    """Whether nobody knows how the group stands now: the last look failed, or is long ago."""
    return bool(known.why) or _is_old(known, now)


def _drawn(known: Known, now: float) -> list[Lag]:
    """What a step of the history gets: nobody has counted what waits while the brokers do not answer, but
    the oldest of it grows older."""
    return [
        lag._replace(records=None) if _is_unseen(known, now) else lag for lag in _lags(known, now)
    ]


def _lags(known: Known, now: float) -> list[Lag]:
    return [
        Lag(lag.partition.topic, lag.partition.number, lag.waiting.records, lag.seconds(now))
        for lag in known.lags
    ]


def _rate(known: Known) -> float:
    rates = [lag.rate for lag in known.lags if lag.rate is not None]
    return sum(rates) if rates else float("nan")


def _members(known: Known) -> int:
    return len({lag.standing.member.id for lag in known.lags if lag.standing.member is not None})


def _summary(group: _Group, known: Known, now: float, until: int) -> dict[str, Any]:
    rates = group.rate.last(STEPS, until)[:, 0].tolist()
    history = [None if each != each else round(each, 1) for each in rates]
    return {
        "group": group.sight.group,
        "records": sum(lag.waiting.records for lag in known.lags) if known.is_seen else None,
        "seconds": None
        if not known.is_seen
        else round(max((lag.seconds(now) or 0.0 for lag in known.lags), default=0.0), 1),
        "members": _members(known) if known.is_seen else None,
        "offsets_per_second": history[-1],
        "looked_at": round(known.at, 1) if known.is_seen else None,
        "history": {"offsets_per_second": history},
    }


def _partitions(group: _Group, known: Known, now: float, until: int) -> list[dict[str, Any]]:
    lags: dict[tuple[str, int], PartitionLag] = {
        (lag.partition.topic, lag.partition.number): lag for lag in known.lags
    }
    told = group.partitions.as_json(_lags(known, now), until)
    return [
        {**lags[each["topic"], each["partition"]].as_json(now), **_named(each, lags)}
        for each in told
    ]


def _named(told: dict[str, Any], lags: dict[tuple[str, int], PartitionLag]) -> dict[str, Any]:
    member = lags[told["topic"], told["partition"]].standing.member
    return {"history": told["history"], "member": None if member is None else str(member)}
