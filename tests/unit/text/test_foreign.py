"""Text that a producer wrote, before it goes on anywhere."""

import pytest

from stream_app.text.foreign import MOST_CHARACTERS, bounded


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("größe", "größe"),
        (b"gr\xc3\xb6\xc3\x9fe", "größe"),
        (b"\xff\xfe", "\\xff\\xfe"),
        ("a\nb\r\x1b[31m", "a\\nb\\r\\x1b[31m"),
        ("\ud800", "\\ud800"),
        ("", ""),
    ],
)
def test_text_becomes_one_printable_line(text: str | bytes, shown: str) -> None:
    """Neither a line of the log nor a colour of the terminal can be forged."""
    assert bounded(text) == shown


@pytest.mark.parametrize("text", ["x" * 1_000_000, b"\xff" * 1_000_000, "\n" * 1_000_000])
def test_text_is_never_longer_than_its_bound(text: str | bytes) -> None:
    """The length of what was cut is told."""
    shown = bounded(text)
    assert len(shown) == MOST_CHARACTERS
    assert shown.endswith("... (1000000 in all)")
    shown.encode()
