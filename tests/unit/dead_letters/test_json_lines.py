"""Letters written as JSON Lines, and read back."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.dead_letters.json_lines import Mended, as_line, read_lines
from stream_app.errors import ConfigurationError
from stream_app.text.redaction import Redaction
from tests.unit.dead_letters.letters import letter


def changed(**fields: Any) -> str:
    """The line of a letter, with these fields instead of its own."""
    return json.dumps(json.loads(as_line(letter(offset=3))) | fields)


@given(st.none() | st.binary() | st.text().filter(lambda text: text.isprintable()).map(str.encode))
def test_every_payload_comes_back_to_the_very_bytes(value: bytes | None) -> None:
    """Text as text, all else as base64; a letter is one line."""
    line = as_line(letter(value))
    assert len(line.splitlines()) == 1 or "\n" not in line
    assert read_lines([line.encode()]) == {letter().id: Mended(value)}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "line 2: it is no JSON"),
        ("[" * 200_000, "line 2: it is no JSON"),
        ("[1]", "line 2: it is no exported letter"),
        ('{"value": "x"}', "line 2: 'letter' is missing"),
        ('{"letter": "x", "value": "x"}', "line 2: 'letter' is not the name of a letter"),
        ('{"letter": 5, "value": "x"}', "line 2: 'letter' is not the name of a letter"),
        (changed(value={"a": 1}), "line 2: value is not a text"),
        (changed(value="\ud800"), "line 2: value holds half of a surrogate pair"),
        (changed(value=None, value_base64="###"), "line 2: value_base64 is not base64"),
        (changed(value=None, value_base64=5), "line 2: value_base64 is not base64"),
        (changed(value_base64="e30="), "line 2: it has value and value_base64"),
        (changed(redacted="a..b"), "line 2: 'redacted' is not what an export writes"),
        (changed(redacted=["a"]), "line 2: 'redacted' is not what an export writes"),
        (as_line(letter()), "line 2: the letter .* comes twice"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line: str, why: str) -> None:
    """By its number: whoever mends by hand makes mistakes."""
    with pytest.raises(ConfigurationError, match=why):
        read_lines([as_line(letter()), line])


def test_what_was_redacted_for_the_export_is_put_back_by_the_import() -> None:
    """From the record, under the number that stands for it."""
    original = b'{"card":"4012","n":"one"}'
    line = as_line(letter(original).shown(Redaction("card"), numbered=True))
    assert "4012" not in line
    (mended,) = read_lines([line.replace(r"\"one\"", "1")]).values()
    assert mended.whole(original) == b'{"card":"4012","n":1}'
    with pytest.raises(ValueError, match="it is no JSON"):
        mended.whole(None)


def test_what_was_left_out_of_an_export_has_to_be_written_whole() -> None:
    """A replay without a value would be another record."""
    line = as_line(letter(b"card 4012").shown(Redaction("card"), numbered=True))
    (mended,) = read_lines([line]).values()
    with pytest.raises(ValueError, match="nothing is written in its place"):
        mended.whole(b"card 4012")
    (mended,) = read_lines([json.dumps(json.loads(line) | {"value": "{}"})]).values()
    assert mended.whole(b"card 4012") == b"{}"
