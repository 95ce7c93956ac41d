"""The verdict notices each way in which records can be lost, doubled or miscounted."""

import math
from typing import Any

import pytest

from stream_app.features.kinds import DecayedSums, LastValue, OpenItems, State
from tests.chaos.answers import buried, predicted
from tests.chaos.history import History, Incarnation
from tests.chaos.samples import dead_letter, prediction
from tests.chaos.verdict import Asked, Fates, compare, fates
from tests.integration.testbed import Account, Place
from tests.integration.worker import Out

ASKED = Asked(
    predicted={("in", 0, 1), ("in", 1, 4)}, buried={("in", 0, 2)},
    either={("in", 0, 7)},
)  # fmt: skip
WELL = prediction(1), prediction(4, 1), prediction(7)


def judged(
    *predictions: Out, dead_letters: tuple[Out, ...] = (dead_letter(2),), done: bool = True
) -> Fates:
    """The fates of the records asked for; `done`: all are committed."""
    history = History()
    return fates(
        ASKED, predicted(predictions, history)[0], buried(dead_letters, history)[0], lambda _: done
    )


def test_all_is_well() -> None:
    """One answer for each, and nothing else."""
    found = judged(*WELL)
    assert (found.lost, found.unexpected, found.contradicting) == ((), (), ())
    assert (found.double, found.differing, found.waiting) == (0, 0, 0)


def test_what_may_be_a_dead_letter_may_be_one() -> None:
    """Where the topic of predictions may be too narrow for it."""
    found = judged(*WELL[:2], dead_letters=(dead_letter(2), dead_letter(7)))
    assert (found.lost, found.unexpected, found.double) == ((), (), 0)
    assert judged(*WELL[:2]).lost == (("in", 0, 7),)


def test_a_record_without_its_answer_is_lost() -> None:
    """A prediction that is missing, and a dead letter that is."""
    assert judged(WELL[0], WELL[2]).lost == (("in", 1, 4),)
    assert judged(*WELL, dead_letters=()).lost == (("in", 0, 2),)


def test_a_record_that_is_not_committed_waits() -> None:
    """It may still get its answer."""
    found = judged(WELL[0], WELL[2], dead_letters=(), done=False)
    assert (found.lost, found.waiting) == ((), 2)


def test_an_answer_that_nobody_asked_for_is_unexpected() -> None:
    """A prediction for what is no event, and a dead letter for what is one."""
    assert judged(*WELL, prediction(2)).unexpected == (("in", 0, 2),)
    found = judged(*WELL, dead_letters=(dead_letter(2), dead_letter(1)))
    assert found.unexpected == (("in", 0, 1),)


def test_doubles_are_counted() -> None:
    """Those of predictions and of dead letters, and a record that has one of each."""
    copies = prediction(1), *WELL, prediction(1)
    assert judged(*copies).double == 2
    assert judged(*copies, dead_letters=(dead_letter(2), dead_letter(2))).double == 3
    assert judged(*WELL, dead_letters=(dead_letter(2), dead_letter(7))).double == 1


def test_copies_that_differ_without_saying_why_are_counted() -> None:
    """A copy made from a state ahead of its record, or while that was rebuilt, says so."""
    others = WELL[1:]
    assert judged(prediction(1), prediction(1, kilowatts=0.7), *others).differing == 1
    ahead = prediction(1, kilowatts=0.7, state_ahead="true")
    assert judged(prediction(1), ahead, *others).differing == 0
    meanwhile = prediction(1, kilowatts=0.7, degraded="state-rebuilding")
    assert judged(prediction(1), meanwhile, *others).differing == 0


@pytest.mark.parametrize("changed", ["prediction_id", "event_id", "event_time"])
def test_copies_must_be_of_one_id_and_one_event(changed: str) -> None:
    """Whatever their score is."""
    other = "1970-01-01T00:00:02Z" if changed == "event_time" else "other-0-1"
    found = judged(prediction(1, **{changed: other}), *WELL)
    assert found.contradicting == (("in", 0, 1),)


def test_an_answer_that_does_not_say_whose_it_is_is_counted() -> None:
    """It is nobody's, so that its record is lost as well."""
    nameless = Out("out", 0, 0, 1.0, b"key", None, [])
    assert predicted([nameless, prediction(1)], History())[1] == 1
    assert buried([nameless, dead_letter(1)], History())[1] == 1


def test_answers_of_a_deleted_topic_are_not_those_of_its_successor() -> None:
    """The topic id in the prediction's id tells, and in the dead letter's header."""
    history = History([Incarnation("in", "old", "cluster", [], {0: 3})])
    found, _ = predicted([prediction(1, prediction_id="old-0-1"), prediction(1)], history)
    assert found.keys() == {("in@old", 0, 1), ("in", 0, 1)}
    found, _ = buried([dead_letter(1, topic_id="old"), dead_letter(1)], history)
    assert found.keys() == {("in@old", 0, 1), ("in", 0, 1)}


def test_gone_is_what_nobody_had_committed_when_its_topic_was_deleted() -> None:
    """What was committed must have its outcome, and so must all of today's topics."""
    history = History([Incarnation("in", "old", "cluster", [], {0: 3})])
    places: set[Place] = {("in@old", 0, 2), ("in@old", 0, 3), ("in@old", 1, 0), ("in", 0, 3)}
    assert history.gone(places) == {("in@old", 0, 3), ("in@old", 1, 0)}


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
