"""Last texts: which update wins, how long a text may be, and how it is packed."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.features.kinds import InvalidUpdateError, LastText
from tests.unit.features.builders import examples
from tests.unit.features.kinds.every import after

TEXT = LastText(("left", "right"), max_bytes=8)


@examples
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3).map(float),
            st.none() | st.sampled_from("abc"),
            st.none() | st.sampled_from("abc"),
            st.integers(0, 2),
        ),
        max_size=15,
    ),
    st.randoms(use_true_random=False),
)
def test_any_order_gives_the_same_texts(updates: list[Any], random: Any) -> None:
    """For each field the greatest (time, rank, offset) that gives it, of the newest time."""
    placed = [(update[:3], update[3], offset) for offset, update in enumerate(updates)]
    random.shuffle(placed)
    state = TEXT.empty()
    for update, rank, offset in placed:
        TEXT.apply(state, update, rank, offset)
    newest = max((update[0] for update, _, _ in placed), default=0.0)
    for field, name in enumerate(TEXT.fields, start=1):
        given = [
            (rank, offset, update[field])
            for update, rank, offset in placed
            if update[0] == newest and update[field] is not None
        ]
        assert TEXT.value(name)(state, newest) == (max(given)[2] if given else "")


@examples
@given(st.text(max_size=4).filter(lambda text: len(text.encode()) <= 8))
def test_a_text_comes_back_from_the_store_as_it_was(text: str) -> None:
    """At a fixed width, with whatever characters: those that padding is made of as well."""
    packer = struct.Struct("<" + TEXT.format)
    packed = packer.pack(*after(TEXT, (1.0, text, "x" * 8)))
    assert len(packed) == packer.size == 8 + 2 * (16 + 9)
    state = list(packer.unpack(packed))
    assert [TEXT.value(name)(state, 1.0) for name in TEXT.fields] == [text, "x" * 8]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x" * 9, "right has 9 bytes in UTF-8, and 8 are kept"),
        ("ä" * 5, "right has 10 bytes in UTF-8, and 8 are kept"),
        (7, "right is not a str, but int"),
        ("\ud800", "surrogates not allowed"),
    ],
    ids=["long", "long in UTF-8", "number", "surrogate"],
)
def test_what_is_no_short_text_is_refused(text: Any, message: str) -> None:
    """Cut, two texts could read as equal that are not; the text is not quoted."""
    TEXT.check([(1.0, "x" * 8, None), None])
    with pytest.raises(ValueError, match=message) as caught:
        TEXT.check([(1.0, "x" * 8, text)])
    assert "xxx" not in str(caught.value)


def test_the_message_names_what_to_do() -> None:
    """For whoever reads the dead letter."""
    with pytest.raises(InvalidUpdateError, match=r"bound it in the event's contract, cut it, or"):
        TEXT.check([(1.0, "x" * 9, None)])


def test_nothing_known() -> None:
    """Missing text is empty text."""
    assert TEXT.value("left")(None, 1.0) == ""
    assert TEXT.value("left")(after(TEXT, (1.0, None, "x")), 1.0) == ""
