"""Which letters a command is about."""

from typing import Any

import pytest

from stream_app.dead_letters.selection import Selection, first_of
from stream_app.dead_letters.statistics import statistics
from tests.unit.dead_letters.letters import letter


@pytest.mark.parametrize(
    ("chosen", "is_in"),
    [
        ({}, True),
        ({"reasons": frozenset({"missing-field", "bad-time"})}, True),
        ({"reasons": frozenset({"bad-time"})}, False),
        ({"stages": frozenset({"score"})}, False),
        ({"topics": frozenset({"orders"})}, True),
        ({"dispositions": frozenset({"bug"})}, False),
        ({"places": frozenset({(0, 0)})}, True),
        ({"places": frozenset({(0, 1)})}, False),
        ({"key": b"k"}, True),
        ({"key": b"K"}, False),
        ({"contains": b'"id"'}, True),
        ({"contains": b"Field required"}, True),
        ({"contains": b"nothing of it"}, False),
        ({"since": 1_000.0, "until": 1_000.1}, True),
        ({"until": 1_000.0}, False),
        ({"since": 1_000.1}, False),
    ],
)
def test_a_letter_is_chosen_by_every_filter(chosen: dict[str, Any], is_in: bool) -> None:
    """All of them must hold; only a selection without any is everything."""
    selection = Selection(**chosen)
    assert selection(letter()) is is_in
    assert selection.is_everything is (not chosen)


def test_no_letter_is_read_behind_the_limit() -> None:
    """It may lie an hour away."""
    letters = iter([letter(offset=number) for number in range(3)])
    assert len(list(first_of(letters, 2))) == 2
    assert len(list(letters)) == 1


def test_letters_are_counted_by_what_they_say() -> None:
    """Hour and producer included; who says nothing counts as such."""
    found = statistics(
        [letter(), letter(reason="bad-time"), letter(came=[("producer", b"web 4")], at=8_000.0)]
    )
    assert found["reason"] == {"missing-field": 2, "bad-time": 1}
    assert found["producer"] == {"(not said)": 2, "web 4": 1}
    assert found["hour"] == {"1970-01-01T00:00Z": 2, "1970-01-01T02:00Z": 1}
