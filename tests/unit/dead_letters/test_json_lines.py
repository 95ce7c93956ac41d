"""Letters written as JSON Lines, and read back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.dead_letters.json_lines import as_line, read_lines
from stream_app.errors import ConfigurationError
from tests.unit.dead_letters.letters import letter


@given(st.none() | st.binary() | st.text().filter(lambda text: text.isprintable()).map(str.encode))
def test_every_payload_comes_back_to_the_very_bytes(value: bytes | None) -> None:
    """Text as text, all else as base64; a letter is one line."""
    line = as_line(letter(value))
    assert len(line.splitlines()) == 1 or "\n" not in line
    assert read_lines([line.encode()]) == {letter().id: value}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "line 2: it is no exported letter"),
        ('{"value": "x"}', "line 2: 'letter' is missing"),
        ('{"letter": "x", "value": "x"}', "line 2: it is no exported letter"),
        (json.dumps({"letter": str(letter(offset=3).id), "value": {"a": 1}}), "line 2: it is no"),
        (as_line(letter()), "line 2: the letter .* comes twice"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line: str, why: str) -> None:
    """By its number: whoever mends by hand makes mistakes."""
    with pytest.raises(ConfigurationError, match=why):
        read_lines([as_line(letter()), line])
