"""What became of a round's records, worked out from the topics and Redis alone.

`read_committed` consumers decide what was published. What must be in the state is computed anew
from the log, by the offline execution.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stream_app.features.kinds import DecayedSums, State
from tests.chaos.answers import header
from tests.integration.testbed import Account, Place
from tests.integration.worker import Out

__all__ = ["Answers", "Asked", "Fates", "compare", "fates"]

#: Records of a topic out by the place of the record they came of.
Answers = Mapping[Place, Sequence[Out]]

_SUMS = 1e-9


@dataclass(frozen=True)
class Asked:
    """What must become of the records of a round, by their places."""

    predicted: set[Place]
    """They ask for a prediction."""
    buried: set[Place]
    """They are no events: dead letters."""
    either: set[Place]
    """They ask, and may be dead letters: what they carry may be more than the topics out take."""


@dataclass(frozen=True)
class Fates:
    """Of the records of a round."""

    lost: tuple[Place, ...]
    """Committed, and predicted nowhere though they asked, or in no dead letter though they are no
    events."""
    waiting: int
    """The same, and not committed: none, once all is drained."""
    unexpected: tuple[Place, ...]
    """Predicted or dead-lettered though they should not have been."""
    double: int
    """Predictions and dead letters beyond the first of their record."""
    differing: int
    """Records whose predictions differ in their bytes though none says why: read again after
    other partitions' records had reached a state they read."""
    contradicting: tuple[Place, ...]
    """Records whose predictions differ in what must not: id, event, key."""


def fates(
    asked: Asked, predicted: Answers, buried: Answers, is_done: Callable[[Place], bool]
) -> Fates:
    """Match what came out with what went in.

    `is_done`: whether a record is committed. Records that are gone are in none of `asked`'s sets.
    """
    unanswered = (asked.predicted - predicted.keys()) | (asked.buried - buried.keys())
    unanswered |= asked.either - predicted.keys() - buried.keys()
    lost = set(filter(is_done, unanswered))
    unexpected = predicted.keys() - asked.predicted - asked.either
    unexpected |= buried.keys() - asked.buried - asked.either
    answers = Counter({place: len(copies) for place, copies in predicted.items()})
    answers.update({place: len(copies) for place, copies in buried.items()})
    return Fates(
        lost=tuple(sorted(lost)),
        waiting=len(unanswered) - len(lost),
        unexpected=tuple(sorted(unexpected)),
        double=answers.total() - len(answers),
        differing=sum(_differ(copies) for copies in predicted.values()),
        contradicting=tuple(
            sorted(place for place, copies in predicted.items() if _contradict(copies))
        ),
    )


def _differ(copies: Sequence[Out]) -> bool:
    plain = [
        copy
        for copy in copies
        if header(copy, "state-ahead") is None
        and _value(copy).get("degraded") != "state-rebuilding"
    ]
    return len({copy.value for copy in plain}) > 1


def _contradict(copies: Sequence[Out]) -> bool:
    same = {
        (
            copy.key,
            header(copy, "prediction-id"),
            *(_value(copy).get(name) for name in ("prediction_id", "event_id", "event_time")),
        )
        for copy in copies
    }
    return len(same) > 1


def _value(out: Out) -> dict[str, Any]:
    """What a prediction says; nothing where that cannot be read, which `values` tells of."""
    try:
        value = out.json
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def compare(states: dict[str, State], expected: Account, found: Account) -> str | None:
    """The first difference, in words; decayed sums may differ by 1e-9, all else not at all."""
    if missing := expected.keys() - found.keys():
        return f"{len(missing)} of {len(expected)} states are missing: {sorted(missing)[:3]}"
    if unknown := found.keys() - expected.keys():
        return f"{len(unknown)} states belong to nobody: {sorted(unknown)[:3]}"
    different = []
    for key, (count, digest, newest, values) in expected.items():
        have = found[key]
        if have[:3] != (count, digest, newest):
            different.append(f"{key}: applied {have[0]} updates, not {count}, or others")
        elif not _equal(states[key[0]], have[3], values):
            different.append(f"{key}: {have[3]}, not {values}")
    if different:
        return f"{len(different)} of {len(expected)} states are wrong: " + "; ".join(different[:5])
    return None


def _equal(state: State, left: list[Any], right: list[Any]) -> bool:
    exact = 1 if isinstance(state, DecayedSums) else len(left)  # the time of a decayed sum is exact
    # By repr: NaN is NaN, and -0.0 is not 0.0.
    return list(map(repr, left[:exact])) == list(map(repr, right[:exact])) and all(
        math.isclose(a, b, rel_tol=_SUMS, abs_tol=1e-12)
        for a, b in zip(left[exact:], right[exact:], strict=True)
    )
