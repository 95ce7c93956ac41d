"""The demonstration's account: it must find what it says there is none of."""

import random

import pytest

from demo.accuracy import auc
from demo.fates import Fates, account
from demo.observation import Observation, Served, Source
from demo.plan import Planned, speed_for, strewn
from demo.wrapping import wrapped
from features.flights import usecase
from stream_app.features.events import Event
from stream_app.records.places import PartitionId, Place
from stream_app.wire.dead_letter import DeadLetter
from stream_app.wire.headers import by_name


class Asking(Event):
    """Asks for a prediction."""


class Telling(Event):
    """Only updates."""


ASKED = Place("asking", 0, 0)
TOLD = Place("telling", 0, 0)
SPOILED = Place("telling", 0, 1)
PREDICTION = Served(11.5, 0.5, "champion", None, False)
EXPECTED = {ASKED: None, TOLD: None, SPOILED: "invalid-json"}
EVENTS = {
    ASKED: Asking.model_validate({"event_id": "a", "event_time": "2013-12-01T00:00:00Z"}),
    TOLD: Telling.model_validate({"event_id": "b", "event_time": "2013-12-01T00:00:00Z"}),
}


def letter(reason: str) -> DeadLetter:
    """A dead letter with this reason; the account is given by the place which record it is of."""
    said = {"topic-id": b"t", "partition": b"0", "offset": b"0", "reason": reason.encode()}
    return DeadLetter.of(by_name([(f"dead-letter.{name}", text) for name, text in said.items()]))


@pytest.fixture
def seen() -> Observation:
    """One record of each fate, as it should be."""
    seen = Observation(usecase)
    seen.sources = {place: Source(10.0, b"") for place in EXPECTED}
    seen.predictions = {ASKED: [PREDICTION]}
    seen.dead_letters = {SPOILED: [letter("invalid-json")]}
    return seen


def fates(seen: Observation, committed: int = 2) -> Fates:
    """The account, with the same committed offset everywhere."""
    offsets = {PartitionId("asking", 0): committed, PartitionId("telling", 0): committed}
    return account(seen, EVENTS, (Asking,), EXPECTED, offsets)


def test_each_record_has_its_fate(seen: Observation) -> None:
    """And the latency is from the record's timestamp to its prediction's."""
    found = fates(seen)
    assert (found.predicted, found.state_only, found.dead_lettered) == (1, 1, 1)
    assert (found.events, found.valid, found.malformed) == (3, 2, 1)
    assert found.good
    assert found.latencies_seconds == [1.5]


@pytest.mark.parametrize("place", [ASKED, SPOILED])
def test_a_record_of_which_nothing_came_is_lost(seen: Observation, place: Place) -> None:
    """Whether it asked for a prediction or had to be refused."""
    seen.predictions.pop(place, None)
    seen.dead_letters.pop(place, None)
    found = fates(seen)
    assert found.lost == 1
    assert not found.good


def test_an_update_above_the_committed_offset_is_lost(seen: Observation) -> None:
    """Nobody can tell that it was applied."""
    assert fates(seen, committed=0).lost == 1


def test_a_second_prediction_or_dead_letter_is_double(seen: Observation) -> None:
    """Also one of each for the same record."""
    seen.predictions[ASKED] = [PREDICTION, PREDICTION]
    seen.dead_letters[ASKED] = [letter("invalid-json")]
    found = fates(seen)
    assert found.double == 2
    assert found.predicted == 1


def test_another_reason_than_expected_is_told(seen: Observation) -> None:
    """As is a valid event that was refused."""
    seen.dead_letters[SPOILED] = [letter("missing-field")]
    seen.dead_letters[TOLD] = [letter("invalid-json")]
    assert len(fates(seen).unexpected) == 2


def test_predictions_of_nothing_are_told(seen: Observation) -> None:
    """A prediction nobody asked for, and one of a record that there is not."""
    seen.predictions[TOLD] = [PREDICTION]
    seen.predictions[Place("asking", 7, 7)] = [PREDICTION]
    assert len(fates(seen).unexpected) == 2


def test_an_acknowledged_record_that_is_gone_is_told(seen: Observation) -> None:
    """The brokers lost it, or somebody deleted it."""
    del seen.sources[TOLD]
    assert len(fates(seen).unexpected) == 1


def test_auc_is_the_share_of_pairs_in_order() -> None:
    """By definition, equal scores counting half."""
    choose = random.Random(1)
    scores = [choose.randrange(20) / 20 for _ in range(200)]
    labels = [float(choose.random() < score) for score in scores]
    late = [s for s, label in zip(scores, labels, strict=True) if label]
    on_time = [s for s, label in zip(scores, labels, strict=True) if not label]
    pairs = [(a > b) + 0.5 * (a == b) for a in late for b in on_time]
    assert auc(scores, labels) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)


def test_auc_needs_both_outcomes() -> None:
    """Nothing can be ranked where nothing differs."""
    assert auc([0.1, 0.2], [1.0, 1.0]) is None
    assert auc([], []) is None


def test_malformed_records_come_in_addition() -> None:
    """The valid ones are all there, in order; every malformed one has its reason."""
    value = b'{"event_id":"e","event_time":"2013-12-01T00:00:00Z","event":"weather-observed","origin":"JFK"}'
    valid = [Planned("topic", b"key", value, float(n)) for n in range(500)]
    planned = list(strewn(valid, 100))
    assert [each for each in planned if each.reason is None] == valid
    assert len(planned) == 600
    assert {each.reason for each in planned} > {None, "tombstone", "invalid-json", "bad-time"}
    assert list(strewn(valid, 100)) == planned


@pytest.mark.parametrize(("events", "seconds"), [(5_000, 10.5), (20_000, 42.0), (200_000, 50.0)])
def test_the_clock_is_as_fast_as_the_events_need(events: int, seconds: float) -> None:
    """The default number takes 42 s, more do not take much longer."""
    planned = [Planned("topic", b"", b"", 3.0 * n) for n in range(events)]
    took = (planned[-1].known_at - planned[0].known_at) / speed_for(planned)
    assert took == pytest.approx(seconds)


def test_text_is_broken_at_words() -> None:
    """Neither a word nor a path is cut, however narrow the terminal is."""
    assert wrapped("Its log is kept in /tmp/a-long/path.log and ends:", 20).splitlines() == [
        "Its log is kept in",
        "/tmp/a-long/path.log",
        "and ends:",
    ]


def test_a_row_goes_on_under_its_last_column() -> None:
    """The columns of a table are two spaces apart; an empty line stays one."""
    row = "  dead-lettered      30  invalid-json 5, out-of-range 3, bad-time 2"
    assert wrapped(f"{row}\n\nThe end.", 52).splitlines() == [
        "  dead-lettered      30  invalid-json 5,",
        "                         out-of-range 3, bad-time 2",
        "",
        "The end.",
    ]
