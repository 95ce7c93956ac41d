"""What became of a round's records, worked out from the topics and Redis alone.

`read_committed` consumers decide what was published. What must be in the state is computed anew
from the log, by the offline execution.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from features.states import DecayedSums, State
from tests.integration.bed import Account, Bed, Place
from tests.integration.worker import Out

__all__ = ["Fates", "compare", "fates", "judge_state"]

_SUMS = 1e-9


@dataclass(frozen=True)
class Fates:
    """Of the records of a round."""

    records: int
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
    records: int, asking: set[Place], poison: set[Place], predictions: Sequence[Out],
    dead_letters: Sequence[Out], is_done: Callable[[Place], bool],
) -> Fates:  # fmt: skip
    """Match what came out with what went in; `is_done`: whether a record is committed."""
    predicted = _grouped(predictions, lambda out: out.source)
    buried = _grouped(dead_letters, _origin)
    unanswered = (asking - predicted.keys()) | (poison - buried.keys())
    lost = set(filter(is_done, unanswered))
    return Fates(
        records,
        lost=tuple(sorted(lost)),
        waiting=len(unanswered) - len(lost),
        unexpected=tuple(sorted((predicted.keys() - asking) | (buried.keys() - poison))),
        double=sum(len(copies) - 1 for found in (predicted, buried) for copies in found.values()),
        differing=sum(_differ(copies) for copies in predicted.values()),
        contradicting=tuple(
            sorted(place for place, copies in predicted.items() if _contradict(copies))
        ),
    )


def _grouped(found: Iterable[Out], place: Callable[[Out], Place]) -> dict[Place, list[Out]]:
    grouped: dict[Place, list[Out]] = {}
    for out in found:
        grouped.setdefault(place(out), []).append(out)
    return grouped


def _origin(dead_letter: Out) -> Place:
    topic, partition, offset = (
        str(dead_letter.header(f"dead-letter.{what}")) for what in ("topic", "partition", "offset")
    )
    return topic, int(partition), int(offset)


def _differ(copies: Sequence[Out]) -> bool:
    plain = [
        copy
        for copy in copies
        if copy.header("state-ahead") is None and copy.json["degraded"] != "state_rebuilding"
    ]
    return len({copy.value for copy in plain}) > 1


def _contradict(copies: Sequence[Out]) -> bool:
    same = {
        (
            copy.key,
            copy.header("prediction-id"),
            *(copy.json[name] for name in ("prediction_id", "event_id", "event_time")),
        )
        for copy in copies
    }
    return len(same) > 1


def judge_state(bed: Bed, log: Sequence[tuple[Out, int, Any]]) -> str | None:
    """Where the state in Redis is not the log's; None: nowhere."""
    states = {view.name: view.state for view in bed.usecase.features.views}
    expected = bed.expected_account(log)
    return compare(states, expected, bed.account(expected))


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
