"""What served and what was refused over the last hours, as the topics out tell it: what a release changed.

The time is cut into slices. Of each slice the first records of each partition are read, not all of them,
so an hour of a busy topic takes seconds; how many there are is told by the offsets, markers of
transactions among them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from stream_app.kafka.brokers import Brokers
from stream_app.kafka.log_reader import read_ranges
from stream_app.records.places import PartitionId
from stream_app.wire.dead_letter import DeadLetter
from stream_app.wire.headers import by_name

__all__ = ["Change", "Slice", "changes", "over_time"]

_SAMPLED: Final = 40
"""Records of a partition that are read of a slice."""


@dataclass
class Slice:
    """A stretch of time, in seconds since the epoch, and what was written in it."""

    since: float
    until: float
    predictions: int = 0
    """By their offsets, so markers of transactions count."""
    letters: int = 0
    served: Counter[str] = field(default_factory=Counter)
    """Of the predictions that were read: model and version, and where a fallback served, why."""
    code: Counter[str] = field(default_factory=Counter)
    """Of the dead letters that were read: the version of the worker's code."""
    reasons: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """Its fields, of values that JSON has."""
        return dict(vars(self))


@dataclass(frozen=True)
class Change:
    """Something that was seen for the first time, or not any more."""

    at: float
    """Where the slice begins in which it is so, in seconds since the epoch."""
    what: str


def over_time(
    brokers: Brokers,
    predictions_topic: str,
    dead_letters_topic: str,
    times: Sequence[float],
) -> list[Slice]:
    """What was written from one of `times` to the next, in seconds since the epoch.

    Raises what the brokers' client does.
    """
    slices = [Slice(since, until) for since, until in pairwise(times)]
    with closing(brokers.log_reader()) as reader:
        for topic in (predictions_topic, dead_letters_topic):
            partitions = brokers.topics([topic])[topic].partition_ids
            ends = brokers.ends(partitions, decided=True)
            begin = [_offsets(brokers, ends, time) for time in times]
            for number, each in enumerate(slices):
                bounds = {p: (begin[number][p], begin[number + 1][p]) for p in partitions}
                written = sum(last - first for first, last in bounds.values())
                sampled = {
                    p: (first, min(last, first + _SAMPLED)) for p, (first, last) in bounds.items()
                }
                is_predictions = topic == predictions_topic
                if is_predictions:
                    each.predictions = written
                else:
                    each.letters = written
                for messages in read_ranges(reader, sampled):
                    for message in messages:
                        (_prediction if is_predictions else _letter)(each, message)
    return slices


def changes(slices: Sequence[Slice]) -> Iterator[Change]:
    """What is in a slice and was in none before, and what was in one and is in none after, in order.

    A model that serves one record in a thousand may be missed, as not all are read.
    """
    whats: dict[str, list[int]] = {}
    for number, each in enumerate(slices):
        for text in (
            *(f"{served} serves" for served in each.served),
            *(f"dead letters of code {version}" for version in each.code),
            *(f"dead letters for {reason}" for reason in each.reasons),
        ):
            whats.setdefault(text, []).append(number)
    found = []
    last = max((n for n, each in enumerate(slices) if each.served or each.reasons), default=-1)
    first = min((n for n, each in enumerate(slices) if each.served or each.reasons), default=0)
    for text, numbers in whats.items():
        if numbers[0] > first:
            before = "and none before" if text.startswith("dead letters") else "and did not before"
            found.append(Change(slices[numbers[0]].since, f"{text}, {before}"))
        if numbers[-1] < last and "letters for" not in text:
            found.append(Change(slices[numbers[-1]].until, f"no more {text}"))
    yield from sorted(found, key=lambda each: each.at)


def _offsets(
    brokers: Brokers, ends: Mapping[PartitionId, int], time: float
) -> dict[PartitionId, int]:
    found = brokers.first_at(ends, time)
    return {
        partition: end if (at := found[partition]) is None else min(at, end)
        for partition, end in ends.items()
    }


def _prediction(each: Slice, message: Any) -> None:
    try:
        told = json.loads(message.value())
        model, degraded = told["model"], told.get("degraded")
        served = f"{model['name']} {model['version']}"
    except (ValueError, TypeError, KeyError):
        served, degraded = "what is no prediction of ours", None
    each.served[served if degraded is None else f"{served} ({degraded})"] += 1


def _letter(each: Slice, message: Any) -> None:
    try:
        said = DeadLetter.of(by_name(message.headers()))
    except ValueError:
        each.reasons["(no dead letter of ours)"] += 1
    else:
        each.code[said.code_version] += 1
        each.reasons[said.reason] += 1
