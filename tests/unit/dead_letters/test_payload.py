"""Payloads as a person reads them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.dead_letters.payload import shown_payload


def marked(value: bytes, field: str) -> list[str]:
    """The lines that are marked."""
    return [line for line in shown_payload(value, field, "wrong") if line.endswith("<-- wrong")]


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("b.c", '    "c": 2   <-- wrong'),
        ("l.1", "    8   <-- wrong"),
        ("b", '  "b": {   <-- wrong'),
        ("b.missing", '  "b": {   <-- wrong'),
        ("missing", "{   <-- wrong"),
    ],
)
def test_the_field_that_was_wrong_is_marked(field: str, line: str) -> None:
    """Or, where it is missing, what lacks it."""
    assert marked(b'{"a": 1, "b": {"c": 2}, "l": [7, 8]}', field) == [line]


def test_numbers_and_double_names_stand_as_they_came() -> None:
    """Nothing is rounded, and nothing is dropped."""
    lines = list(shown_payload(b'{"a": 1.10, "a": 12345678901234567890123, "b": NaN}', "", ""))
    assert lines[1:4] == ['  "a": 1.10,', '  "a": 12345678901234567890123,', '  "b": NaN']


@given(st.binary(max_size=200), st.text(max_size=20))
def test_any_bytes_are_shown_without_control_characters(value: bytes, field: str) -> None:
    """A terminal is not written to by a producer."""
    for line in shown_payload(value, field, "wrong"):
        assert line.isprintable()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                    max_leaves=20))  # fmt: skip
def test_what_is_shown_of_json_is_the_same_json(value: object) -> None:
    """But for what a terminal would not show as it is."""
    text = json.dumps(value)
    shown = "\n".join(shown_payload(text.encode(), "", ""))
    if len(shown.splitlines()) < 400 and "\\" not in shown and "characters" not in shown:
        assert json.loads(shown) == json.loads(text)
