"""The verdict notices each way in which records can be lost, doubled or miscounted."""

import json
import math
from typing import Any

import pytest

from features.states import DecayedSums, LastValue, OpenItems, State
from tests.chaos.verdict import compare, fates
from tests.integration.bed import Account, Place
from tests.integration.worker import Out

ASKING: set[Place] = {("in", 0, 1), ("in", 1, 4)}
POISON: set[Place] = {("in", 0, 2)}


def prediction(offset: int, partition: int = 0, *, score: float = 0.5, **changes: Any) -> Out:
    """A prediction as workers publish it."""
    place = f"t-{partition}-{offset}"
    value = {"prediction_id": place, "event_id": f"e{offset}", "event_time": 1.0,
             "degraded": None, "score": score}  # fmt: skip
    headers = {"prediction-id": place, "source-topic": "in", "source-partition": str(partition),
               "source-offset": str(offset)}  # fmt: skip
    value |= {name: change for name, change in changes.items() if name in value}
    headers |= {
        name.replace("_", "-"): change for name, change in changes.items() if name not in value
    }
    sent = [(name, text.encode()) for name, text in headers.items()]
    return Out("out", 0, 0, 1.0, b"key", json.dumps(value).encode(), [*sent])


def dead_letter(offset: int) -> Out:
    """A dead letter as workers publish it."""
    headers = {"topic": "in", "partition": "0", "offset": str(offset)}
    sent = [(f"dead-letter.{name}", text.encode()) for name, text in headers.items()]
    return Out("dead", 0, 0, 1.0, b"key", b"", [*sent])


def judged(
    *predictions: Out, dead_letters: tuple[Out, ...] = (dead_letter(2),), done: bool = True
) -> Any:
    """The fates of two records that ask and one that is no event; `done`: all are committed."""
    return fates(10, ASKING, POISON, predictions, dead_letters, lambda _: done)


def test_all_is_well() -> None:
    """One answer for each, and nothing else."""
    found = judged(prediction(1), prediction(4, 1))
    assert (found.lost, found.unexpected, found.contradicting) == ((), (), ())
    assert (found.double, found.differing, found.waiting) == (0, 0, 0)


def test_a_record_without_its_answer_is_lost() -> None:
    """A prediction that is missing, and a dead letter that is."""
    assert judged(prediction(1)).lost == (("in", 1, 4),)
    assert judged(prediction(1), prediction(4, 1), dead_letters=()).lost == (("in", 0, 2),)


def test_a_record_that_is_not_committed_waits() -> None:
    """It may still get its answer."""
    found = judged(prediction(1), dead_letters=(), done=False)
    assert (found.lost, found.waiting) == ((), 2)


def test_an_answer_that_nobody_asked_for_is_unexpected() -> None:
    """A prediction for what is no event, and a dead letter for what is one."""
    well = prediction(1), prediction(4, 1)
    assert judged(*well, prediction(2)).unexpected == (("in", 0, 2),)
    buried = judged(*well, dead_letters=(dead_letter(2), dead_letter(1)))
    assert buried.unexpected == (("in", 0, 1),)


def test_doubles_are_counted() -> None:
    """Those of predictions and of dead letters."""
    copies = prediction(1), prediction(1), prediction(1), prediction(4, 1)
    assert judged(*copies).double == 2
    assert judged(*copies, dead_letters=(dead_letter(2), dead_letter(2))).double == 3


def test_copies_that_differ_without_saying_why_are_counted() -> None:
    """A copy made from a state ahead of its record, or while that was rebuilt, says so."""
    other = prediction(4, 1)
    assert judged(prediction(1), prediction(1, score=0.7), other).differing == 1
    ahead = prediction(1, score=0.7, state_ahead="true")
    assert judged(prediction(1), ahead, other).differing == 0
    meanwhile = prediction(1, score=0.7, degraded="state_rebuilding")
    assert judged(prediction(1), meanwhile, other).differing == 0


@pytest.mark.parametrize("changed", ["prediction_id", "event_id", "event_time"])
def test_copies_must_be_of_one_id_and_one_event(changed: str) -> None:
    """Whatever their score is."""
    found = judged(prediction(1), prediction(1, **{changed: "other"}), prediction(4, 1))
    assert found.contradicting == (("in", 0, 1),)


STATES: dict[str, State] = {
    "sums": DecayedSums(60.0, ("x",)), "last": LastValue(("x",)), "ring": OpenItems(120.0)
}  # fmt: skip
LOG: Account = {
    ("sums", "a"): (3, 99, 7.0, [5.0, 2.5, 1.25]),
    ("last", "a"): (1, 98, 7.0, [5.0, 0.0, 1.0, math.nan]),
    ("ring", "a"): (2, 97, 7.0, [5, 0, 1, 0]),
}


def test_equal_states_are_equal() -> None:
    """Decayed sums may be off in their last bits."""
    assert compare(STATES, LOG, dict(LOG)) is None
    near = LOG | {("sums", "a"): (3, 99, 7.0, [5.0, 2.5 * (1 + 1e-12), 1.25])}
    assert compare(STATES, LOG, near) is None


@pytest.mark.parametrize(
    ("key", "held"),
    [
        ("sums", (4, 99, 7.0, [5.0, 2.5, 1.25])),
        ("sums", (3, 98, 7.0, [5.0, 2.5, 1.25])),
        ("sums", (3, 99, 8.0, [5.0, 2.5, 1.25])),
        ("sums", (3, 99, 7.0, [5.0 + 1e-12, 2.5, 1.25])),
        ("sums", (3, 99, 7.0, [5.0, 2.5 * (1 + 1e-8), 1.25])),
        ("last", (1, 98, 7.0, [5.0, 0.0, 2.0, math.nan])),
        ("ring", (2, 97, 7.0, [5, 0, 2, 0])),
    ],
)
def test_a_state_that_differs_is_noticed(key: str, held: Any) -> None:
    """In what was counted, in which records those were, in its newest time, and in its numbers."""
    found = compare(STATES, LOG, LOG | {(key, "a"): held})
    assert found is not None
    assert found.startswith("1 of 3 states are wrong")


def test_a_state_too_few_or_too_many_is_noticed() -> None:
    """Each entity of the log has its state, and no other has one."""
    fewer = {key: state for key, state in LOG.items() if key[0] != "ring"}
    assert "1 of 3 states are missing" in str(compare(STATES, LOG, fewer))
    assert "1 states belong to nobody" in str(compare(STATES, fewer, LOG))
