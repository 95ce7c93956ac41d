"""Redaction: what is named goes, and every other byte stays."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.text.redaction import PLACEHOLDER, Redaction

PATHS = 'passenger.name, items[*].card, contacts.*, passenger."full name", card'


@pytest.mark.parametrize(
    ("value", "expected", "met"),
    [
        (
            b'{ "passenger" : {"name": "Anna", "age": 3.10} }',
            b'{ "passenger" : {"name": "[redacted]", "age": 3.10} }',
            ("passenger.name",),
        ),
        (
            b'{"items":[{"card":4012,"n":1},{"n":2},{"card":[1,{"a":2}]}]}',
            b'{"items":[{"card":"[redacted]","n":1},{"n":2},{"card":"[redacted]"}]}',
            ("items[*].card",),
        ),
        (
            b'{"contacts":{"Ben":"b@x","Eve":{"tel":1}}}',
            b'{"contacts":{"Ben":"[redacted]","Eve":"[redacted]"}}',
            ("contacts.*",),
        ),
        (b'{"card":1,"card":2}', b'{"card":"[redacted]","card":"[redacted]"}', ("card",)),
        (b'{"c\\u0061rd":"4012"}', b'{"c\\u0061rd":"[redacted]"}', ("card",)),
        (b'{"card":"\\ud800"}', b'{"card":"[redacted]"}', ("card",)),
        (
            b'{"passenger":{"full name":true}}',
            b'{"passenger":{"full name":"[redacted]"}}',
            ('passenger."full name"',),
        ),
        (
            b'\x00\x00\x00\x00\x07{"card":1}',
            b'\x00\x00\x00\x00\x07{"card":"[redacted]"}',
            ("card",),
        ),
    ],
)
def test_a_named_field_is_replaced_and_nothing_else(
    value: bytes, expected: bytes, met: tuple[str, ...]
) -> None:
    """Nested, in lists, by any name, twice, escaped, behind a registry's frame."""
    found = Redaction(PATHS)(value)
    assert found == (expected, met)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b'{"passenger":"Anna"}', b'{"passenger":"[redacted]"}'),
        (b'{"passenger":[{"name":"Anna"}]}', b'{"passenger":"[redacted]"}'),
        (b'{"items":{"card":4012}}', b'{"items":"[redacted]"}'),
        (b'{"items":["4012"]}', b'{"items":["[redacted]"]}'),
        (b'[{"passenger":{"name":"Anna"}}]', b'"[redacted]"'),
        (b'"Anna"', b'"[redacted]"'),
    ],
)
def test_what_has_another_form_than_its_path_is_replaced_where_it_begins(
    value: bytes, expected: bytes
) -> None:
    """A record that breaks its contract may hold a name where nobody looks for one."""
    found = Redaction(PATHS)(value)
    assert found is not None
    assert found.value == expected


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{}",
        b" null ",
        b'{"passenger":null,"items":[],"contacts":{}}',
        b'{"passenger":{"name":null},"other":{"card":1}}',
        b'{"n":' + b"9" * 5_000 + b',"nan":NaN,"s":"\\ud800"}',
    ],
)
def test_a_value_without_what_is_named_is_left_alone(value: bytes | None) -> None:
    """Null holds nothing; numbers that Python cannot read are not read."""
    assert Redaction(PATHS)(value) is None


@pytest.mark.parametrize(
    "value",
    [
        b"Anna",
        b'{"card":4012',
        b'{"card":4012} {"card":4012}',
        b'{"card":4012,}',
        b"{'card':4012}",
        b'{"card":04012}',
        b'{"card":"4012\n"}',
        b'\xef\xbb\xbf{"card":4012}',
        b'{"card":"\xff"}',
        '{"card":4012}'.encode("utf-16"),
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b',"card":4012}',
    ],
)
def test_what_is_no_json_is_left_out_whole(value: bytes) -> None:
    """Nobody can say where the field is in it."""
    assert Redaction(PATHS)(value) == (None, ("$",))


def test_a_value_beyond_the_bound_is_left_out_unread() -> None:
    """What the worker does not decode for its size is not looked into either."""
    assert Redaction("a", most_bytes=9)(b'{"b":1234}') == (None, ("$",))
    assert Redaction("a", most_bytes=10)(b'{"b":1234}') is None


def test_the_root_is_all_of_it() -> None:
    """A use case may want no value in a letter, and no digest either."""
    assert Redaction("card, $")(b'{"a":1}') == (None, ("$",))


@pytest.mark.parametrize(
    "paths",
    [
        "a..b",
        "a.",
        "a b",
        ".a",
        "a[0]",
        "a.[*]",
        '"a',
        "a,,b",
        "a,",
        ",a",
        "$x",
        "a.$",
        '"\\x"',
        "a*",
    ],
)
def test_what_is_no_path_is_said(paths: str) -> None:
    """With what was expected."""
    with pytest.raises(ValueError, match=r"such as passenger\.name|is no JSON text"):
        Redaction(paths)


def test_paths_are_read_back_as_they_are_written() -> None:
    """A letter names those that were met; the same value is redacted by them again in the same way."""
    once = Redaction(f"  {PATHS} ,card\n")
    assert once.paths == tuple(PATHS.split(", "))
    assert Redaction(", ".join(once.paths)).paths == once.paths
    assert not Redaction(" ")


@pytest.mark.parametrize(
    ("value", "redacted"),
    [
        ('{"data_base64":"eyJjYXJkIjoxfQ==","id":"a"}', '{"data_base64":"[redacted]","id":"a"}'),
        (
            '{"data":{"card":1},"data_base64":null}',
            '{"data":{"card":"[redacted]"},"data_base64":null}',
        ),
        ('{"x":{"data_base64":"eyJj"}}', None),
    ],
)
def test_a_cloud_events_data_in_base64_are_its_data(value: str, redacted: str | None) -> None:
    """The field stands in them, where nobody sees it."""
    found = Redaction("data.card")(value.encode())
    assert (found and found.value) == (redacted and redacted.encode())


@pytest.mark.parametrize(
    ("paths", "field", "told"),
    [
        ("cards", "cards.4012", "cards"),
        ("cards", "cards", "cards"),
        ("cards", "cardsx.4012", "cardsx.4012"),
        ("cards.*", "cards.4012.n", "cards.4012"),
        ("cards[*]", "cards.4012888888881881", "cards"),
        ("cards[*].n", "cards.3.m", "cards.3.m"),
        ("cards[*].n", "cards.3.n.4012", "cards.3.n"),
        ("buyer.card", "buyer.0.x", "buyer"),
        ("a, a.b", "a.b.c", "a"),
        ("$", "cards.4012", "cards"),
        ("", "cards.4012", "cards.4012"),
    ],
)
def test_a_field_is_told_as_far_as_the_value_shows_names(paths: str, field: str, told: str) -> None:
    """What stands below is replaced, with its names."""
    assert Redaction(paths).told(field) == told


NAMES = st.sampled_from(["passenger", "name", "items", "card", "contacts", "full name", "x", ""])
SECRETS = st.integers(10**11, 10**12).map(lambda number: f"secret-{number}")


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """JSON documents with the names of the paths in all kinds of places."""
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
        max_leaves=12,
    )


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | SECRETS
)
STEP = re.compile(r'\[\*\]|"[^"]+"|[^.\[]+')


def expected(value: Any, paths: list[list[str]]) -> Any:
    """What must come out, by plain recursion over what was parsed."""
    if value is None or not paths:
        return value
    for path in paths:
        if not path or (path[0] == "[*]" and not isinstance(value, list)):
            return "[redacted]"
        if path[0] != "[*]" and not isinstance(value, dict):
            return "[redacted]"
    if isinstance(value, list):
        return [expected(each, [path[1:] for path in paths]) for each in value]
    return {
        name: expected(each, [path[1:] for path in paths if path[0] in (name, "*")])
        for name, each in value.items()
    }


def scalars(value: Any) -> list[Any]:
    """The leaves of a document."""
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in scalars(each)]
    if isinstance(value, list):
        return [leaf for each in value for leaf in scalars(each)]
    return [value]


@given(
    trees(LEAVES),
    st.lists(st.sampled_from(PATHS.split(", ")), unique=True, min_size=1),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_what_is_named_is_gone_and_all_else_is_equal(
    document: Any, paths: list[str], ascii_only: bool, indent: int | None
) -> None:
    """Over documents of any form: no text of what was redacted is left, and the rest is what it was."""
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    try:
        value = text.encode()
    except UnicodeEncodeError:
        return
    steps = [[s.strip('"') for s in STEP.findall(path)] for path in paths]
    wanted = expected(document, steps)
    found = Redaction(", ".join(paths))(value)
    if found is None:
        assert wanted == document
        return
    assert found.value is not None
    assert json.loads(found.value) == wanted
    # A second time, by the paths that were met alone: the same.
    assert Redaction(", ".join(found.paths))(value) == found
    before, after = scalars(document), scalars(wanted)
    for leaf in {s for s in before if isinstance(s, str) and s.startswith("secret-")}:
        assert (leaf.encode() in found.value) == (leaf in after)


@given(st.binary(max_size=80) | st.text(max_size=80).map(lambda t: t.encode("utf-8", "replace")))
def test_any_bytes_give_json_or_nothing(value: bytes) -> None:
    """No bytes raise, and of what is no JSON nothing is kept."""
    found = Redaction(PATHS)(value)
    if found is not None and found.value is not None:
        json.loads(found.value[5:] if found.value[:1] == b"\x00" else found.value)
        assert PLACEHOLDER.encode() in found.value


@given(trees(LEAVES), st.lists(st.sampled_from(PATHS.split(", ")), unique=True, min_size=1))
def test_what_was_redacted_with_numbers_is_put_back_to_the_very_bytes(
    document: Any, paths: list[str]
) -> None:
    """Whoever mends by hand sees numbers, and what they stand for is sent."""
    value = json.dumps(document).encode()
    redaction = Redaction(", ".join(paths))
    found = redaction(value, numbered=True)
    if found is not None:
        assert found.value is not None
        assert redaction.restored(found.value, value) == value


def test_what_was_redacted_is_put_back_wherever_it_stands_by_now() -> None:
    """Elements may be moved or removed, and fields be renamed."""
    original = b'{"items":[{"card":1},{"card":"b"},{"card":{"c":3}}],"to":""}'
    mended = b'{"items":[{"card":"[redacted 3]"},{"card":9},{"pan":"[redacted 1]"}]}'
    restored = Redaction("items[*].card").restored(mended, original)
    assert restored == b'{"items":[{"card":{"c":3}},{"card":9},{"pan":1}]}'


@pytest.mark.parametrize(
    ("mended", "original", "why"),
    [
        (b'{"card":"[redacted 2]"}', b'{"card":1}', "nothing was redacted under the number 2"),
        (b'{"card":"[redacted 0]"}', b'{"card":1}', "nothing was redacted under the number 0"),
        (b'{"card":"x [redacted 1]"}', b'{"card":1}', "no text with a number"),
        (b'{"card":"[redacted 1]"}', b'{"card":1,"to":"[redacted 1]"}', "the event itself has"),
        (b'{"card":"[redacted 1]"}', b"card", "it is no JSON"),
        (b'{"card":"\xff"}', b'{"card":1}', "it is no JSON"),
    ],
)
def test_what_cannot_be_put_back_is_said(mended: bytes, original: bytes, why: str) -> None:
    """Nothing is sent with a number in the place of a value, nor a secret to where a producer wants it."""
    with pytest.raises(ValueError, match=why):
        Redaction("card").restored(mended, original)
