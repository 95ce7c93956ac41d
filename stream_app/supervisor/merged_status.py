"""The status documents of several workers as one: figures added up, and each thing told of whom it is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from stream_app import __version__
from stream_app.status_page.problems import Problem
from stream_app.status_page.series import STEP_SECONDS, STEPS
from stream_app.status_page.worker_status import FORMAT

__all__ = ["merged_status"]

_LATEST: Final = 20
_HAPPENINGS: Final = 30
_RECENT: Final = 5
"""Steps of which a worker's rate is told."""

_Document = Mapping[str, Any]
_History = Sequence[float | None]


def merged_status(found: Mapping[int, _Document | None], now: float) -> dict[str, Any]:
    """One document of those of the workers, by slot; None stands for one that does not answer.

    Rates and counts are sums. Latencies and ages are those of the worker that is the worst. `now` in
    seconds since the epoch.
    """
    told = {number: each for number, each in found.items() if each is not None}
    problems = [
        *(_silent(number).as_json() for number, each in found.items() if each is None),
        *_of_each(told, "problems", "sentence", "Worker {}: {}"),
    ]
    documents = list(told.values())
    first: _Document = documents[0] if documents else {}
    return {
        "format": FORMAT,
        "kind": "worker",
        "at": round(now, 1),
        "since": min((each["since"] for each in documents), default=now),
        "name": first.get("name", "stream-app"),
        "application": first.get("application", ""),
        "worker": f"{len(found)} workers of one host",
        "version": __version__,
        "model": first.get("model", ""),
        "model_version": first.get("model_version", ""),
        "models": first.get("models", []),
        "well": "All is well",
        "detail": f"{_answering(len(told), len(found))}; {sum(len(each['partitions']) for each in documents)} partitions are held",
        "problems": sorted(problems, key=lambda each: each["level"] != "trouble"),
        "step_seconds": STEP_SECONDS,
        "throughput": {
            name: _sums(each["throughput"][name] for each in documents)
            for name in first.get("throughput", ("predicted", "state_only", "dead_lettered", "skipped"))
        },
        "latency": {
            "last_minute": {
                name: max((v for each in documents if (v := each["latency"]["last_minute"][name]) is not None),
                          default=None)
                for name in ("p50", "p90", "p99")
            },
            **{name: _highest(each["latency"][name] for each in documents) for name in ("p50", "p90", "p99")},
        },
        "lag": {
            "records": _sums(each["lag"]["records"] for each in documents),
            "seconds": _highest(each["lag"]["seconds"] for each in documents),
        },
        "partitions": sorted(
            (
                {**one, "worker": number}
                for number, each in told.items()
                for one in each["partitions"]
            ),
            key=lambda one: (one["topic"], one["partition"]),
        ),
        "workers": [_worker(number, each) for number, each in found.items()],
        "held_records": sum(each["held_records"] for each in documents),
        "serving": _serving(documents),
        "dead_letters": {
            "last_ten_minutes": _counted(
                (each["dead_letters"]["last_ten_minutes"] for each in documents), "count"
            ),
            "latest": _newest((each["dead_letters"]["latest"] for each in documents), _LATEST),
        },
        "state": _state(documents),
        "stopped_partitions": [one for each in documents for one in each["stopped_partitions"]],
        "waits": _of_each(told, "waits", "service", "{1} (worker {0})"),
        "in_hand": max(
            (each["in_hand"] for each in documents if each["in_hand"]),
            key=lambda work: work["seconds"],
            default=None,
        ),
        "happenings": _newest([_of_each(told, "happenings", "what", "Worker {}: {}")], _HAPPENINGS),
    }  # fmt: skip


def _answering(told: int, all_: int) -> str:
    return f"{told} workers" if told == all_ else f"{told} of {all_} workers answer"


def _worker(number: int, document: _Document | None) -> dict[str, Any]:
    """A line about one worker; all is None of one that does not answer."""
    if document is None:
        nothing = ("name", "since", "records_per_second", "records", "seconds", "partitions")
        return {"number": number, **dict.fromkeys(nothing), "problem": "does not answer"}
    partitions = document["partitions"]
    rates = _sums(document["throughput"].values())[-_RECENT:]
    known = [rate for rate in rates if rate is not None]
    return {
        "number": number,
        "name": document["worker"],
        "since": document["since"],
        "records_per_second": round(sum(known) / len(known), 1) if known else None,
        "records": sum(one["records"] or 0 for one in partitions),
        "seconds": max((one["seconds"] or 0.0 for one in partitions), default=0.0),
        "partitions": len(partitions),
        "problem": next((one["sentence"] for one in document["problems"]), None),
    }


def _silent(number: int) -> Problem:
    return Problem(
        f"silent {number}",
        "trouble",
        f"Worker {number} does not answer",
        "Nothing yet: one that has ended is started again, and one that hangs is ended within a minute. "
        "The log says which it was, and why. Its partitions, and what waits in them, are not on this page.",
        "StreamAppWorkerDown",
    )


def _of_each(
    told: Mapping[int, _Document], what: str, field: str, form: str
) -> list[dict[str, Any]]:
    """What all of them have, each with the worker's number in a field."""
    return [
        {**one, field: form.format(number, one[field])}
        for number, each in told.items()
        for one in each[what]
    ]


def _newest(lists: Iterable[Sequence[dict[str, Any]]], most: int) -> list[dict[str, Any]]:
    return sorted((one for each in lists for one in each), key=lambda one: -one["at"])[:most]


def _sums(histories: Iterable[_History]) -> list[float | None]:
    known = _by_step(histories)
    return [round(sum(each), 1) if each else None for each in known]


def _highest(histories: Iterable[_History]) -> list[float | None]:
    return [max(each, default=None) for each in _by_step(histories)]


def _by_step(histories: Iterable[_History]) -> list[list[float]]:
    """What is known of each step; a worker that was just asked may be a step behind the others."""
    all_ = list(histories)
    if not all_:
        return [[] for _ in range(STEPS)]
    return [[v for v in step if v is not None] for step in zip(*all_, strict=True)]


def _counted(lists: Iterable[Sequence[Mapping[str, Any]]], figure: str) -> list[dict[str, Any]]:
    """Entries that differ by a figure alone, added up; the most first."""
    counts: Counter[tuple[tuple[str, Any], ...]] = Counter()
    for each in lists:
        for one in each:
            key = tuple((name, value) for name, value in one.items() if name != figure)
            counts[key] += one[figure]
    return [{**dict(key), figure: count} for key, count in counts.most_common()]


def _serving(documents: Sequence[_Document]) -> list[dict[str, Any]]:
    without_share = [
        [{name: value for name, value in one.items() if name != "share"} for one in each["serving"]]
        for each in documents
    ]
    counted = _counted(without_share, "last_minute")
    total = sum(each["last_minute"] for each in counted)
    return [{**each, "share": round(each["last_minute"] / total, 4)} for each in counted]


def _state(documents: Sequence[_Document]) -> dict[str, Any]:
    states = [each["state"] for each in documents]
    began = [each["rebuilding_since"] for each in states if each["rebuilding_since"] is not None]
    counts = (
        "rebuilding_partitions",
        "rebuilt_records_last_minute",
        "conflicts_last_minute",
        "ahead_last_minute",
    )
    return {
        **{name: sum(each[name] for each in states) for name in counts},
        "rebuilding_since": min(began, default=None),
    }
