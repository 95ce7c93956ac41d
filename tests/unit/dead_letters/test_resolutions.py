"""What became of letters, as a topic that people may write says it."""

import json

import pytest

from stream_app.dead_letters.outgoing_replay import resolution
from stream_app.dead_letters.resolutions import resolution_of
from tests.unit.dead_letters.letters import Message, letter

MARK = json.loads(resolution(letter(), by="anna", note="").as_value())


def message(**fields: object) -> Message:
    """The record of a mark, with these fields instead of its own."""
    return Message(str(letter().id).encode(), json.dumps(MARK | fields).encode(), [], 0, 0.0)


def test_a_mark_is_read_back() -> None:
    """By the letter it is of."""
    assert resolution_of(message())[0] == letter().id


@pytest.mark.parametrize("at", [float("nan"), float("inf")])
def test_a_mark_of_no_time_is_none(at: float) -> None:
    """It could not be told as JSON."""
    with pytest.raises(ValueError, match="finite"):
        resolution_of(message(at=at))
